"""The bodies of the inference routes, as callers write them.

Of a chat body the gateway reads the fields of `protocol.requests.chat`; of the others it reads the
model, `stream` and the bounds, and the engine reads the rest. The shapes here are OpenAI's and
vLLM's; a field that they do not name passes to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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

Prompt = str | list[str] | list[int] | list[list[int]]


class EngineBody(BaseModel):
    """A body that an engine reads; fields that are not named here reach it as well."""

    model_config = ConfigDict(extra="allow")


class CompletionBody(EngineBody):
    """The body of a text completion."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    prompt: Prompt | None = Field(default=None, description="texts, or token ids")
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = 16
    n: int | None = 1
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    echo: bool | None = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    suffix: str | None = None
    user: str | None = None
    prediction: dict[str, Any] | None = Field(
        default=None, description="the text that the answer is expected to be, as in a chat"
    )
    return_token_ids: bool | None = None


class ResponsesBody(EngineBody):
    """The body of a response (OpenAI's newer API)."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool | None = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = Field(
        default=True, description="kept by the engine, where it is set up to keep responses"
    )
    background: bool | None = False
    previous_response_id: str | None = Field(
        default=None, description="goes on from this response, at the endpoint that keeps it"
    )


class EmbeddingsBody(EngineBody):
    """The body of a request for embeddings."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    input: Prompt
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


class TokenizeBody(EngineBody):
    """The body of a request for token ids: of a prompt, or of a chat's messages."""

    model: str | None = Field(default=None, description="null: the tier that answers first")
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool | None = False


class DetokenizeBody(EngineBody):
    """The body of a request for the text of token ids."""

    model: str | None = Field(default=None, description="null: the tier that answers first")
    tokens: list[int]


class ChatBatchBody(EngineBody):
    """The body of several chats, each of which gets one choice of the answer."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    messages: list[list[dict[str, Any]]] = Field(min_length=1, description="of each chat")
    max_completion_tokens: int | None = None
    temperature: float | None = None


class CountTokensBody(EngineBody):
    """The body of Anthropic's count of a prompt's tokens."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    messages: list[dict[str, Any]]
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None


class MessagesBody(CountTokensBody):
    """The body of Anthropic's Messages API."""

    max_tokens: int = Field(ge=1)
    stream: bool | None = False
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    tool_choice: dict[str, Any] | None = None


class PoolingBody(EngineBody):
    """The body of a request for what a pooling model makes of texts: vectors, or classes."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    input: Prompt | None = None
    messages: list[dict[str, Any]] | None = None


class ScoreBody(EngineBody):
    """The body of a request for how well texts fit each other."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    text_1: str | list[str] | None = None
    text_2: str | list[str] | None = None
    queries: Any = Field(default=None, description="in place of text_1")
    documents: Any = Field(default=None, description="in place of text_2")


class RerankBody(EngineBody):
    """The body of a request for the order of documents by how well they fit a query."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    query: str | dict[str, Any]
    documents: list[str | dict[str, Any]]
    top_n: int | None = None


class CohereEmbedBody(EngineBody):
    """The body of a request for embeddings, as Cohere's API has it."""

    model: str | None = Field(default=None, description="null: the tier that answers first")
    texts: list[str] | None = None
    images: list[str] | None = None
    inputs: list[dict[str, Any]] | None = None
    input_type: str | None = None
    embedding_types: list[str] | None = None
    output_dimension: int | None = None


class CohereChatBody(EngineBody):
    """The body of a chat, as Cohere's API has it."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    messages: list[dict[str, Any]]
    max_tokens: int | None = None
    stream: bool | None = False


class GenerativeScoringBody(EngineBody):
    """The body of a request for the probabilities of tokens behind a query and each item."""

    model: str | None = Field(default=None, description="null: the tier that answers first")
    query: str | list[int]
    items: list[str] | list[list[int]]
    label_token_ids: list[int] | None = None
    apply_softmax: bool | None = None
    item_first: bool | None = None


class SpeechBody(EngineBody):
    """The form of a request for the text of a sound file."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    file: str = Field(json_schema_extra={"format": "binary"})
    prompt: str | None = None
    language: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    stream: bool | None = False


KINDS: tuple[type[BaseModel], ...] = (
    CompletionBody,
    ResponsesBody,
    EmbeddingsBody,
    TokenizeBody,
    DetokenizeBody,
    ChatBatchBody,
    CountTokensBody,
    MessagesBody,
    PoolingBody,
    ScoreBody,
    RerankBody,
    CohereEmbedBody,
    CohereChatBody,
    GenerativeScoringBody,
    SpeechBody,
)
BODIES: Mapping[str, str] = {
    CHAT: "ChatBody",
    COMPLETIONS: "CompletionBody",
    RESPONSES: "ResponsesBody",
    EMBEDDINGS: "EmbeddingsBody",
    TOKENIZE: "TokenizeBody",
    DETOKENIZE: "DetokenizeBody",
    CHAT_BATCH: "ChatBatchBody",
    MESSAGES: "MessagesBody",
    COUNT_TOKENS: "CountTokensBody",
    POOLING: "PoolingBody",
    CLASSIFY: "PoolingBody",
    COHERE_EMBED: "CohereEmbedBody",
    COHERE_CHAT: "CohereChatBody",
    GENERATIVE_SCORING: "GenerativeScoringBody",
    CHAT_RENDER: "ChatBody",
    COMPLETIONS_RENDER: "CompletionBody",
    RESPONSES_RENDER: "ResponsesBody",
    MESSAGES_RENDER: "MessagesBody",
    TRANSCRIPTIONS: "SpeechBody",
    TRANSLATIONS: "SpeechBody",
    **dict.fromkeys(RERANKS, "RerankBody"),
    **dict.fromkeys(SCORES, "ScoreBody"),
}
