"""The body of a chat completion: the fields that the gateway reads, with the bounds that OpenAI and
vLLM set for them. A field that is not here passes to the engine unread."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.protocol.requests.cascade import CascadeOptions
from gateway.protocol.requests.collective import CollectiveOptions
from gateway.protocol.requests.prediction import PredictedContent
from gateway.protocol.requests.sampling import MAX_STOPS

Count = Annotated[int, Meta(ge=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
StopText = Annotated[str, Meta(min_length=1)]
MAX_ANSWERS = 16_384
"""The bound on `n` that vLLM has by default (VLLM_MAX_N_SEQUENCES)."""
Logprobs = Annotated[int, Meta(ge=-1)]
"""The likely tokens given for each position, -1 for all; their bound is an engine's own option
(--max-logprobs)."""


class ContentPart(Struct):
    """A part of a message, such as a text or an image; vLLM infers a type that is missing."""

    type: str | None = None


class Message(Struct):
    role: str
    content: str | list[str | ContentPart] | None = None


class StreamOptions(Struct):
    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class FunctionName(Struct):
    name: str


class NamedTool(Struct):
    """A choice of the tool that the answer must call."""

    function: FunctionName
    type: Literal["function"] = "function"


class Tool(Struct):
    function: FunctionName
    type: Literal["function"] = "function"


class ResponseFormat(Struct):
    type: Literal["text", "json_object", "json_schema", "structural_tag"]


class ChatBody(Struct, kw_only=True):
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_ANSWERS)] | None = None
    max_tokens: int | None = None
    max_completion_tokens: Count | None = None
    min_tokens: Annotated[int, Meta(ge=0)] = 0
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Meta(gt=0)] | None = None
    logit_bias: dict[int, float] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=MAX_STOPS)] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    allowed_token_ids: list[int] | None = None
    bad_words: list[str] = []
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    logprobs: bool | None = False
    top_logprobs: Logprobs | None = None
    prompt_logprobs: Logprobs | None = None
    return_token_ids: bool | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Meta(min_length=1)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    prediction: PredictedContent | None = None
    user: str | None = None
    tierflow: Any = None


class TierflowOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`tierflow` in the body: what the virtual model of that name is asked for."""

    cascade: CascadeOptions | None = None
    collective: CollectiveOptions | None = None
