"""The answers at the inference routes, as engines write them. A field that is not named here passes
to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, RootModel

from gateway.api.description.bodies import EngineBody
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


class EngineUsage(EngineBody):
    """An answer's tokens, as the engine counts them."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    total_tokens: int = 0


class CompletionAnswer(EngineBody):
    """An engine's chat or text completion; a virtual model's has a block `tierflow`."""

    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: EngineUsage | None = None


class ResponsesAnswer(EngineBody):
    """An engine's response."""

    id: str
    object: str
    status: str | None = None
    output: list[dict[str, Any]]


class EmbeddingsAnswer(EngineBody):
    """An engine's embeddings."""

    object: str
    model: str
    data: list[dict[str, Any]]


class TokenizeAnswer(EngineBody):
    """The token ids of a prompt."""

    count: int
    max_model_len: int
    tokens: list[int]


class DetokenizeAnswer(EngineBody):
    """The text of token ids."""

    prompt: str


class MessageAnswer(EngineBody):
    """An engine's message, as Anthropic's API has it."""

    id: str
    type: Literal["message"]
    role: str
    content: list[dict[str, Any]]
    model: str
    stop_reason: str | None = None


class TokenCount(EngineBody):
    """How many tokens a prompt has."""

    input_tokens: int


class ListAnswer(EngineBody):
    """What an engine makes of each text, in their order."""

    model: str
    data: list[dict[str, Any]]


class RerankAnswer(EngineBody):
    """The documents, the best first."""

    id: str
    model: str
    results: list[dict[str, Any]]


class PromptTokens(EngineBody):
    """The tokens of a prompt, and how the engine would go on from it."""

    token_ids: list[int]


class PromptsTokens(RootModel[list[PromptTokens]]):
    """Those of each prompt."""


class CohereAnswer(EngineBody):
    """An engine's answer, as Cohere's API has it."""

    id: str


class SpeechAnswer(EngineBody):
    """The text of a sound file."""

    text: str


class EngineVersion(EngineBody):
    """The version of the engine that answered."""

    version: str


KINDS: tuple[type[BaseModel], ...] = (
    CompletionAnswer,
    ResponsesAnswer,
    EmbeddingsAnswer,
    TokenizeAnswer,
    DetokenizeAnswer,
    MessageAnswer,
    TokenCount,
    ListAnswer,
    RerankAnswer,
    PromptTokens,
    PromptsTokens,
    CohereAnswer,
    SpeechAnswer,
    EngineVersion,
)
ANSWERS: Mapping[str, str] = {
    CHAT: "CompletionAnswer",
    COMPLETIONS: "CompletionAnswer",
    RESPONSES: "ResponsesAnswer",
    EMBEDDINGS: "EmbeddingsAnswer",
    TOKENIZE: "TokenizeAnswer",
    DETOKENIZE: "DetokenizeAnswer",
    CHAT_BATCH: "CompletionAnswer",
    MESSAGES: "MessageAnswer",
    COUNT_TOKENS: "TokenCount",
    POOLING: "ListAnswer",
    CLASSIFY: "ListAnswer",
    COHERE_EMBED: "CohereAnswer",
    COHERE_CHAT: "CohereAnswer",
    GENERATIVE_SCORING: "ListAnswer",
    CHAT_RENDER: "PromptTokens",
    COMPLETIONS_RENDER: "PromptsTokens",
    RESPONSES_RENDER: "PromptTokens",
    MESSAGES_RENDER: "PromptTokens",
    TRANSCRIPTIONS: "SpeechAnswer",
    TRANSLATIONS: "SpeechAnswer",
    **dict.fromkeys(RERANKS, "RerankAnswer"),
    **dict.fromkeys(SCORES, "ListAnswer"),
}
