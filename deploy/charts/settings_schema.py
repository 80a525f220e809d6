"""The schema of the chart's value `config`: the gateway's settings, as gateway.settings has them.

Helm checks values against it before it changes anything, so that a setting that does not exist
stops
the install in place of the gateway's start.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.settings import Settings

Schema = dict[str, Any]

WORDS = {
    "type",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
}
"""Keywords that are taken as they are; defaults and titles are in docs/settings.md."""
HASH: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "a SHA-256 in hex: a ConfigMap is no place for the secret itself",
}
HASHED = {("Admin", "token"), ("StaticKey", "key")}
"""Secrets that may be given as a hash, by group and name. The templates refuse the others in
words."""
ITEMS = {
    ("Listen", "allowed_hosts"): r"^([^:/\[\] \t]+|\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]?)$",
    ("Listen", "allowed_origins"): r"^(\*|[^/]+://[^/]+)$",
}
"""What each text of a list must look like where the gateway's own code looks at it, by group and
name."""


def page(path: Path) -> str:
    """The chart's schema, which is written by hand but for `config`."""
    schema: Schema = json.loads(path.read_text())
    schema["properties"]["config"] = settings()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings() -> Schema:
    """Of all settings. Groups stand where they are used, so that Helm's messages have one place
    each."""
    whole = Settings.model_json_schema()
    return {
        **_shape(whole, whole["$defs"]),
        "description": "settings of the gateway, by their names; see docs/settings.md",
    }


def _shape(setting: Schema, groups: Schema) -> Schema:
    """Also of null, which takes away what the chart itself would say."""
    if "$ref" in setting:
        return _shape(groups[setting["$ref"].rpartition("/")[2]], groups)
    shape = {word: setting[word] for word in sorted(WORDS & setting.keys())}
    if "type" in shape:
        shape["type"] = [shape["type"], "null"]
    if "enum" in shape:
        shape["enum"] = [*shape["enum"], None]
    if "properties" in setting:
        shape |= _group(setting, groups)
    if "anyOf" in setting:
        # What is null is a member of each of the others already.
        members = [_shape(one, groups) for one in setting["anyOf"] if one.get("type") != "null"]
        shape |= members[0] if len(members) == 1 else {"anyOf": members}
    if "items" in setting:
        shape["items"] = _shape(setting["items"], groups)
    if "patternProperties" in setting:
        # Names of entries, such as those of keys; no other name is taken.
        shape["additionalProperties"] = False
        shape["patternProperties"] = {
            pattern: _shape(one, groups) for pattern, one in setting["patternProperties"].items()
        }
    for word in ("additionalProperties", "propertyNames"):
        inner = setting.get(word)
        if isinstance(inner, dict):
            shape[word] = _shape(inner, groups)
        elif inner is not None:
            shape[word] = inner
    return shape


def _group(group: Schema, groups: Schema) -> Schema:
    named = group["properties"].items()
    # What secrets come from by the environment is not here, though it may be required there.
    required = [
        name for name in group.get("required", ()) if not group["properties"][name].get("writeOnly")
    ]
    shapes = {
        name: HASH if (group["title"], name) in HASHED else _shape(setting, groups)
        for name, setting in named
    }
    for name, shape in shapes.items():
        if pattern := ITEMS.get((group["title"], name)):
            shape["items"] = shape["items"] | {"pattern": pattern}
    return {"properties": shapes} | ({"required": required} if required else {})
