"""The bodies of the inference routes, as callers write them and as engines answer.

Of a chat body the gateway reads the fields of `protocol.chat`; of the others it reads the model,
`stream` and the bounds, and the engine reads the rest. The shapes here are OpenAI's and vLLM's; a
field that they do not name passes to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from gateway.protocol.chat import ChatBody, TierflowOptions
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

REFERENCE = "#/components/schemas/"
MODEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "description": "a served model, or a virtual one: tierflow-edge, tierflow-cloud, "
    "tierflow-auto, tierflow-cascade, tierflow-collective (the last two for chats only)",
}
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


class SpeechBody(EngineBody):
    """The form of a request for the text of a sound file."""

    model: str = Field(min_length=1, max_length=256, description="a served or a virtual model")
    file: str = Field(json_schema_extra={"format": "binary"})
    prompt: str | None = None
    language: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    stream: bool | None = False


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


class SpeechAnswer(EngineBody):
    """The text of a sound file."""

    text: str


class EngineVersion(EngineBody):
    """The version of the engine that answered."""

    version: str


_READ_BY_ENGINES: tuple[type[BaseModel], ...] = (
    ChatBatchBody,
    MessagesBody,
    CountTokensBody,
    PoolingBody,
    ScoreBody,
    RerankBody,
    SpeechBody,
    MessageAnswer,
    TokenCount,
    ListAnswer,
    RerankAnswer,
    SpeechAnswer,
    EngineVersion,
    CompletionBody,
    ResponsesBody,
    EmbeddingsBody,
    TokenizeBody,
    DetokenizeBody,
    CompletionAnswer,
    ResponsesAnswer,
    EmbeddingsAnswer,
    TokenizeAnswer,
    DetokenizeAnswer,
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
    TRANSCRIPTIONS: "SpeechBody",
    TRANSLATIONS: "SpeechBody",
    **dict.fromkeys(RERANKS, "RerankBody"),
    **dict.fromkeys(SCORES, "ScoreBody"),
}
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
    TRANSCRIPTIONS: "SpeechAnswer",
    TRANSLATIONS: "SpeechAnswer",
    **dict.fromkeys(RERANKS, "RerankAnswer"),
    **dict.fromkeys(SCORES, "ListAnswer"),
}


def reference(name: str) -> dict[str, str]:
    return {"$ref": REFERENCE + name}


def schemas() -> dict[str, Any]:
    """The schemas of all these bodies and of their parts, by name."""
    found: dict[str, Any] = {}
    for kind in _READ_BY_ENGINES:
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
