"""Checks of the sampling fields, in vLLM's words, and the limits that decoding obeys."""

from dataclasses import dataclass

from services.engine_simulator.errors import EngineError, invalid
from services.engine_simulator.schema import SamplingBody
from services.engine_simulator.vocabulary import VOCABULARY_SIZE

_MAX_CHOICES = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """When one answer ends. `max_tokens` counts the end token too."""

    max_tokens: int
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    ignore_end: bool = False
    keep_stop: bool = False


def check_prompt(prompt: list[int], max_model_len: int) -> None:
    """Raises EngineError (400) for foreign ids, an empty prompt or one that fills the context."""
    if not prompt:
        raise invalid("prompt", "Either prompt or prompt_embeds must be provided and non-empty.")
    highest = max(prompt)
    if highest >= VOCABULARY_SIZE or min(prompt) < 0:
        raise EngineError(f"Token id {highest} is out of vocabulary")
    if len(prompt) >= max_model_len:
        raise invalid(
            "input_tokens",
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt "
            f"contains at least {len(prompt)} input tokens, which exceeds this limit even without "
            "any output tokens. Please reduce the length of the input prompt.",
            len(prompt),
        )


def limits(body: SamplingBody, max_tokens: int | None, prompt_len: int, room: int) -> Limits:
    """Limits for one prompt; `room` is max_model_len. Raises EngineError (400)."""
    if max_tokens is not None and max_tokens < 1:
        message = f"max_tokens must be at least 1, got {max_tokens}."
        raise invalid("max_tokens", message, max_tokens)
    if max_tokens is not None and max_tokens > room:
        raise invalid(
            "max_tokens",
            f"max_tokens={max_tokens} cannot be greater than max_model_len={room}. "
            "Please request fewer output tokens.",
            max_tokens,
        )
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    if "" in stop:
        raise EngineError("stop cannot contain an empty string.", param="stop")
    left = room - prompt_len
    return Limits(
        max_tokens=left if max_tokens is None else min(max_tokens, left),
        min_tokens=body.min_tokens,
        stop=stop,
        stop_token_ids=frozenset(body.stop_token_ids or ()),
        ignore_end=body.ignore_eos,
        keep_stop=body.include_stop_str_in_output,
    )


def check_sampling(body: SamplingBody) -> int:
    """Returns n. Raises EngineError (400) for values outside their range."""
    n = 1 if body.n is None else body.n
    if n < 1:
        raise EngineError(f"n must be at least 1, got {n}.")
    if n > _MAX_CHOICES:
        raise invalid("n", f"n must be at most {_MAX_CHOICES}, got {n}.", n)
    if body.temperature is not None and body.temperature < 0:
        message = f"temperature must be non-negative, got {body.temperature}."
        raise invalid("temperature", message, body.temperature)
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "Stream options can only be defined when `stream=True`.")
    return n
