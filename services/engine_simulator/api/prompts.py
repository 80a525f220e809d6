"""The forms a `prompt` or `input` may have: a text, token ids, or a list of either."""

from services.engine_simulator.engine.tokenizer import encode
from services.engine_simulator.errors import invalid

_MAX_PROMPTS = 256


def as_prompts(prompt: str | list[int] | list[str] | list[list[int]] | None) -> list[list[int]]:
    """Token ids of each prompt. Raises EngineError (400) when there is none or too many."""
    if not prompt:
        raise invalid("prompt", "Either prompt or prompt_embeds must be provided and non-empty.")
    if isinstance(prompt, str):
        return [list(encode(prompt))]
    if isinstance(prompt[0], int):
        return [[token_id for token_id in prompt if isinstance(token_id, int)]]
    if len(prompt) > _MAX_PROMPTS:
        raise invalid("prompt", f"at most {_MAX_PROMPTS} prompts are served.", len(prompt))
    return [list(encode(part) if isinstance(part, str) else _ids(part)) for part in prompt]


def _ids(part: object) -> list[int]:
    return part if isinstance(part, list) else []
