"""An example of a body for each inference route, which a gateway takes as it stands wherever its
engines have the route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.protocol.paths import (
    CHAT,
    CHAT_BATCH,
    CHAT_RENDER,
    CLASSIFY,
    COHERE_CHAT,
    COHERE_EMBED,
    COMPLETIONS,
    COMPLETIONS_RENDER,
    COUNT_TOKENS,
    DETOKENIZE,
    EMBEDDINGS,
    GENERATIVE_SCORING,
    MESSAGES,
    MESSAGES_RENDER,
    POOLING,
    RERANKS,
    RESPONSES,
    RESPONSES_RENDER,
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
    COHERE_EMBED: {"model": AUTO, "texts": _CITIES},
    COHERE_CHAT: {"model": AUTO, "messages": _MESSAGES, "max_tokens": 64},
    GENERATIVE_SCORING: {
        "model": AUTO,
        "query": _QUESTION,
        "items": _CITIES,
        "label_token_ids": [72, 105],
    },
    CHAT_RENDER: {"model": AUTO, "messages": _MESSAGES},
    COMPLETIONS_RENDER: {"model": AUTO, "prompt": "The capital of France is"},
    RESPONSES_RENDER: {"model": AUTO, "input": _QUESTION},
    MESSAGES_RENDER: {"model": AUTO, "messages": _MESSAGES, "max_tokens": 64},
    TRANSCRIPTIONS: _SPEECH,
    TRANSLATIONS: {"model": AUTO},
    **dict.fromkeys(RERANKS, {"model": AUTO, "query": _QUESTION, "documents": _CITIES}),
    **dict.fromkeys(SCORES, {"model": AUTO, "text_1": _QUESTION, "text_2": _CITIES}),
}
"""By path. A form's file is the caller's own."""
