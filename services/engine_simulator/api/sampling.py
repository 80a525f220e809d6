"""Checks of prompts and sampling fields, in vLLM's words."""

from services.engine_simulator.api.schema import SamplingBody
from services.engine_simulator.engine.decoding import Limits
from services.engine_simulator.engine.vocabulary import VOCABULARY_SIZE
from services.engine_simulator.errors import EngineError, invalid

_MAX_CHOICES = 16_384


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
    remaining = room - prompt_len
    return Limits(
        max_tokens=remaining if max_tokens is None else min(max_tokens, remaining),
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
    given = body.stream_options is not None and body.stream_options.model_fields_set
    if given and not body.stream:
        raise invalid("stream_options", "Stream options can only be defined when `stream=True`.")
    return n
