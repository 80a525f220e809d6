"""The schemas of the inference routes' bodies and answers."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.api.description import answers, bodies
from gateway.protocol.requests.chat import ChatBody, TierflowOptions

REFERENCE = "#/components/schemas/"
MODEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "description": "a served model, or a virtual one: tierflow-edge, tierflow-cloud, "
    "tierflow-auto, tierflow-cascade, tierflow-collective (the last two for chats only)",
}


def reference(name: str) -> dict[str, str]:
    return {"$ref": REFERENCE + name}


def schemas() -> dict[str, Any]:
    """The schemas of all these bodies and of their parts, by name."""
    found: dict[str, Any] = {}
    for kind in (*bodies.KINDS, *answers.KINDS):
        schema = kind.model_json_schema(ref_template=REFERENCE + "{model}")
        found |= schema.pop("$defs", {}) | {kind.__name__: schema}
    _, chat = msgspec.json.schema_components(
        [ChatBody, TierflowOptions], ref_template=REFERENCE + "{name}"
    )
    chat["ChatBody"]["properties"] |= {
        "model": MODEL,
        "tierflow": {"anyOf": [reference("TierflowOptions"), {"type": "null"}]},
    }
    chat["ChatBody"]["required"] = ["messages", "model"]
    return found | chat
