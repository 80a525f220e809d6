"""Chat messages to prompt ids: `<|im_start|>role\\ncontent<|im_end|>\\n` each, then the opening of
the assistant's turn."""

from collections.abc import Sequence
from typing import Any

from services.engine_simulator.api.schema import Message
from services.engine_simulator.engine.tokenizer import encode
from services.engine_simulator.engine.vocabulary import END_ID, PAD_ID, START_ID
from services.engine_simulator.errors import EngineError
from services.engine_simulator.settings import Settings

_IMAGE_TOKENS = 64
_MISSING = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a "
    "chat template if the tokenizer does not define one."
)
_NEWLINE = tuple(encode("\n"))


def render(
    settings: Settings, messages: Sequence[Message], add_generation_prompt: bool = True
) -> list[int]:
    """Raises EngineError (400) where there is no template, and for an empty conversation or a part
    without a type."""
    if not settings.has_chat_template:
        raise EngineError(_MISSING)
    if not messages:
        raise EngineError(
            "Cannot apply chat template to an empty conversation. Provide at least one message."
        )
    ids: list[int] = []
    for message in messages:
        ids += [START_ID, *encode(message.role), *_NEWLINE]
        ids += _content(message.content)
        for call in message.tool_calls or ():
            ids += encode(str(call.get("function")))
        ids += [END_ID, *_NEWLINE]
    if add_generation_prompt:
        ids += [START_ID, *encode("assistant"), *_NEWLINE]
    return ids


def _content(content: str | list[dict[str, Any]] | None) -> list[int]:
    if content is None:
        return []
    if isinstance(content, str):
        return list(encode(content))
    ids: list[int] = []
    for part in content:
        kind = part.get("type")
        if not isinstance(kind, str):
            raise EngineError("Every content part needs a `type`.", param="messages")
        ids += encode(str(part["text"])) if "text" in part else [PAD_ID] * _IMAGE_TOKENS
    return ids
