"""Values that satisfy a JSON schema, for tool calls and response formats: always the same ones.

Covers type, enum, const, properties, items, anyOf, minimum and minItems; other keywords are
ignored.
"""

from typing import Any

import orjson

from services.engine_simulator.api.schema import ChatBody
from services.engine_simulator.errors import invalid

_WORDS = ("river", "harbour", "valley", "garden", "bridge", "market")
_MAX_DEPTH = 8


def example(schema: Any, salt: int = 0, depth: int = 0) -> Any:
    """A plain value for `schema`; `salt` (any int) picks among equally good ones."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][salt % len(schema["enum"])]
    for either in ("anyOf", "oneOf"):
        if schema.get(either):
            return example(schema[either][0], salt, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        return {
            name: example(part, salt + place, depth + 1)
            for place, (name, part) in enumerate(properties.items())
        }
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        return [example(schema.get("items"), salt + i, depth + 1) for i in range(min(count, 32))]
    if kind in ("integer", "number"):
        return schema.get("minimum", salt % 7 + 1)
    if kind == "boolean":
        return salt % 2 == 0
    return None if kind == "null" else _WORDS[salt % len(_WORDS)]


def json_answer(response_format: dict[str, Any] | None, salt: int) -> str | None:
    """The JSON text to answer with; None where the answer is plain text."""
    kind = (response_format or {}).get("type")
    if kind == "json_object":
        return orjson.dumps({"answer": _WORDS[salt % len(_WORDS)], "value": salt % 7}).decode()
    if kind != "json_schema":
        return None
    wrapper = (response_format or {}).get("json_schema") or response_format or {}
    return orjson.dumps(example(wrapper.get("schema"), salt)).decode()


def tool_call(body: ChatBody, salt: int) -> tuple[str, str] | None:
    """(function name, arguments as JSON) when `tool_choice` demands a call, else None."""
    if not body.tools or body.tool_choice in (None, "none", "auto"):
        return None
    functions = {
        tool["function"]["name"]: tool["function"]
        for tool in body.tools
        if isinstance(tool.get("function"), dict) and "name" in tool["function"]
    }
    if body.tool_choice == "required" and functions:
        name = list(functions)[salt % len(functions)]
    elif isinstance(body.tool_choice, dict):
        name = str((body.tool_choice.get("function") or {}).get("name"))
    else:
        name = ""
    if name not in functions:
        raise invalid("tool_choice", "`tool_choice` names no function of `tools`.")
    return name, orjson.dumps(example(functions[name].get("parameters"), salt) or {}).decode()
