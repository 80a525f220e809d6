"""Request bodies, as far as the simulator reads them; unknown fields are ignored."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from services.engine_simulator.errors import EngineError

Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A request body that may name a model."""

    model_config = ConfigDict(extra="ignore")
    model: str | None = None


class Message(BaseModel):
    """A message of a chat."""

    model_config = ConfigDict(extra="ignore")
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class StreamOptions(BaseModel):
    """What a stream shall tell of its usage."""

    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False
    continuous_usage_stats: bool = False


class SamplingBody(Body):
    """The fields that chat and completions share."""

    max_tokens: int | None = None
    min_tokens: int = 0
    n: int | None = 1
    seed: int | None = None
    temperature: float | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    include_stop_str_in_output: bool = False
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    return_token_ids: bool | None = None
    prompt_logprobs: int | None = None
    response_format: dict[str, Any] | None = None


class ChatBody(SamplingBody):
    """The body of /v1/chat/completions."""

    messages: list[Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None


class ChatBatchBody(ChatBody):
    """The body of /v1/chat/completions/batch."""

    messages: list[list[Message]]  # type: ignore[assignment]


class CompletionBody(SamplingBody):
    """The body of /v1/completions."""

    max_tokens: int | None = 16
    prompt: str | list[int] | list[str] | list[list[int]] | None = None
    echo: bool | None = False
    logprobs: int | None = None


class ResponsesBody(Body):
    """The body of /v1/responses."""

    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stream: bool | None = False
    text: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    store: bool | None = True
    background: bool | None = False
    previous_response_id: str | None = None


class CountTokensBody(Body):
    """The body of /v1/messages/count_tokens."""

    messages: list[Message]
    system: str | list[dict[str, Any]] | None = None


class MessagesBody(CountTokensBody):
    """The body of /v1/messages."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = False


class RerankBody(Body):
    """The body of /rerank."""

    query: str
    documents: list[str]
    top_n: int = 0


class ScoreBody(Body):
    """The body of /score."""

    text_1: str
    text_2: str | list[str]


class EmbeddingsBody(Body):
    """The body of /v1/embeddings."""

    input: str | list[int] | list[str] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class TokenizeBody(Body):
    """The body of /tokenize."""

    prompt: str | None = None
    messages: list[Message] | None = None
    add_generation_prompt: bool = True
    return_token_strs: bool | None = False


class DetokenizeBody(Body):
    """The body of /detokenize."""

    tokens: list[int]


def parse(model: type[Model], raw: bytes) -> Model:
    """Raises EngineError (400) worded as vLLM words a body that fails validation."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_context=False)
    places = [".".join(["body", *map(str, problem["loc"])]) for problem in problems]
    lines = [
        f"  {{'type': '{problem['type']}', 'loc': '{place}', 'msg': '{problem['msg']}'}}"
        for problem, place in zip(problems, places, strict=True)
    ]
    count = f"{len(lines)} validation error{'s' if len(lines) > 1 else ''}:"
    raise EngineError("\n".join([count, *lines]), kind="Bad Request", param=places[0])
