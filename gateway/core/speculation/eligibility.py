"""Which ordinary requests may have drafts, so that their answers stay what they are without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.streams.continuation import NEUTRAL, is_one_prompt
from gateway.protocol.paths import CHAT, COMPLETIONS

Fields = Mapping[str, Any]
"""The fields of a request's body."""

_NEVER = (
    "min_p", "logit_bias", "prompt_logprobs", "logprob_token_ids", "thinking_token_budget",
    "best_of", "use_beam_search", "prompt_embeds", "return_tokens_as_token_ids",
    "truncate_prompt_tokens",
)  # fmt: skip
"""Fields beside which engines verify no drafts, or tell no token ids."""
_WHOLE = (
    "tools", "functions", "tool_choice", "echo", "suffix", "audio", "logprobs",
    "return_prompt_text", "kv_transfer_params", "stream_options",
)  # fmt: skip
"""Fields whose answer in one piece is another than that of its stream."""


def undraftable(path: str, fields: Fields, *, stream: bool) -> str | None:
    """The field because of which the answer to this body, a `stream` or not, can have no drafts;
    None: it can."""
    if path not in (CHAT, COMPLETIONS):
        return "route"
    if fields.get("n") not in (None, 1):
        return "n"
    if path == COMPLETIONS and not is_one_prompt(fields.get("prompt")):
        return "prompt"
    if not isinstance(fields.get("vllm_xargs") or {}, Mapping):
        return "vllm_xargs"
    names = _NEVER if stream else (*_NEVER, *_WHOLE)
    return next((name for name in names if fields.get(name) not in NEUTRAL), None)
