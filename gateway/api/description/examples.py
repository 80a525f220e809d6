"""An example of a body for each inference route, which a gateway takes as it stands wherever its
engines have the route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.protocol.paths import (
    CHAT,
    CHAT_BATCH,
    CLASSIFY,
    COMPLETIONS,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    MESSAGES,
    POOLING,
    RERANKS,
    RESPONSES,
    SCORES,
    TOKENIZE,
    TRANSCRIPTIONS,
    TRANSLATIONS,
)
from gateway.protocol.virtual_models import AUTO

_QUESTION = "What is the capital of France?"
_MESSAGES = [{"role": "user", "content": _QUESTION}]
_CITIES = ["Paris is a city in France.", "Bonn is a city in Germany."]
_SPEECH = {"model": AUTO, "language": "en"}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    CHAT: {"model": AUTO, "messages": _MESSAGES, "max_tokens": 64},
    CHAT_BATCH: {"model": AUTO, "messages": [_MESSAGES, _MESSAGES], "max_completion_tokens": 64},
    COMPLETIONS: {"model": AUTO, "prompt": "The capital of France is", "max_tokens": 16},
    RESPONSES: {"model": AUTO, "input": _QUESTION, "max_output_tokens": 64},
    MESSAGES: {"model": AUTO, "messages": _MESSAGES, "max_tokens": 64},
    COUNT_TOKENS: {"model": AUTO, "messages": _MESSAGES},
    EMBEDDINGS: {"model": AUTO, "input": _QUESTION},
    POOLING: {"model": AUTO, "input": _QUESTION},
    CLASSIFY: {"model": AUTO, "input": _QUESTION},
    TOKENIZE: {"model": AUTO, "prompt": _QUESTION},
    DETOKENIZE: {"model": AUTO, "tokens": [72, 105]},
    TRANSCRIPTIONS: _SPEECH,
    TRANSLATIONS: {"model": AUTO},
    **dict.fromkeys(RERANKS, {"model": AUTO, "query": _QUESTION, "documents": _CITIES}),
    **dict.fromkeys(SCORES, {"model": AUTO, "text_1": _QUESTION, "text_2": _CITIES}),
}
"""By path. A form's file is the caller's own."""
