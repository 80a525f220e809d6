"""Reads the body of a request, and says whether the device or the gateway has to answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.datastructures import Headers

from gateway.protocol import virtual_models
from gateway.protocol.device_link.fields import Privacy
from gateway.protocol.device_link.speculation import MAX_PROMPT_TOKENS
from gateway.protocol.headers import MARKS, PRIVACY, header_given_twice
from gateway.protocol.nearest import misspelt, nearest
from gateway.protocol.requests.chat import StopText, StreamOptions
from gateway.protocol.requests.chat_fields import WrongField, check_chat, convert_fields
from gateway.protocol.requests.header_values import (
    PRIVACY_CLASSES,
    WrongHeader,
    header_values,
    privacy_value,
)
from gateway.protocol.requests.neutral_fields import telling_fields
from gateway.protocol.requests.request_problems import header_problem, wrong_header
from gateway.protocol.requests.sampling import MAX_STOP_CHARS, MAX_STOPS, MAX_TOP_K, Sampling
from services.device_agent.answers.answer import GenerationRequest
from services.device_agent.answers.answer_route import (
    AUTO,
    DEVICE_CLOUD,
    DEVICE_EDGE,
    DEVICE_EDGE_CLOUD,
    GATEWAY,
    ON_DEVICE,
)
from services.device_agent.text import TextModel

VIRTUAL_MODELS = {
    virtual_models.ON_DEVICE: ON_DEVICE,
    virtual_models.DEVICE_EDGE: DEVICE_EDGE,
    virtual_models.DEVICE_CLOUD: DEVICE_CLOUD,
    virtual_models.DEVICE_EDGE_CLOUD: DEVICE_EDGE_CLOUD,
    virtual_models.AUTO: AUTO,
}
MAX_SHOWN = 256
"""Characters of a model's name that an error repeats."""
WINDOW_HEADER = "x-tierflow-draft-window"
MAX_WINDOW = 64
"""Draft tokens ahead of the verified text that a caller may ask for."""

PLAIN_TOKENS = 16
"""The bound on a plain completion that sets none, as OpenAI's and vLLM's."""


Tokens = Annotated[int, Meta(ge=1, lt=2**31)]
MAX_MESSAGES = 1000


class BadRequest(Exception):
    """The request can't be answered as it is; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class RequestBody(Struct, kw_only=True):
    """The fields that a device understands. With others, the request goes to the gateway."""

    model: str
    messages: (
        Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_MESSAGES)] | None
    ) = None
    prompt: Any = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=MAX_TOP_K)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=MAX_STOPS)] | None = None
    ignore_eos: bool | None = False
    return_token_ids: bool | None = False
    user: str | None = None

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """A request of an application: what to generate, where, and what the reply must hold.

    `usage`: a last chunk that counts the tokens; `token_ids`: their ids; `marks`: their origins.
    """

    placement: str
    generation: GenerationRequest
    chat: bool
    stream: bool
    usage: bool
    token_ids: bool
    marks: bool


def check_headers(headers: Headers) -> None:
    """Raises BadRequest where one is given twice that may be read only once."""
    if twice := header_given_twice(headers.raw):
        raise BadRequest(*wrong_header(twice, "once"))


def check_header_names(headers: Iterable[str]) -> None:
    """Raises BadRequest for one of Tierflow that there is not."""
    if problem := header_problem(headers):
        raise BadRequest(*problem)


def check_header_values(headers: Mapping[str, str]) -> None:
    """Raises BadRequest for what the gateway would refuse, also where nobody asks it."""
    try:
        header_values(headers)
    except WrongHeader as wrong:
        raise BadRequest(*wrong.problem) from wrong


def privacy_class(headers: Mapping[str, str], least: Privacy) -> Privacy:
    """The class of a request on a device whose requests have `least` at least. Raises
    BadRequest."""
    try:
        wanted = privacy_value(headers.get(PRIVACY)) or "public"
    except WrongHeader as wrong:
        raise BadRequest(*wrong.problem) from wrong
    return max(wanted, least, key=PRIVACY_CLASSES.index)


def read_body(fields: Mapping[str, Any], *, chat: bool) -> RequestBody:
    """Raises BadRequest, for what is wrong with a chat in the gateway's words."""
    try:
        if chat:
            check_chat(fields)
        return convert_fields(fields, RequestBody)
    except WrongField as wrong:
        raise BadRequest(*wrong.problem) from wrong


def server_only_fields(body: Mapping[str, Any]) -> list[str]:
    """Fields that are set and that only a server understands, such as tools or logprobs."""
    fields = telling_fields(body, RequestBody.__struct_fields__)
    return fields + (["prompt"] if len(_prompts(body.get("prompt"))) > 1 else [])


def fields_beyond_frames(body: RequestBody) -> list[str]:
    """Fields that the device understands, with values that the frames to a verifier don't hold."""
    return ["stop"] if any(len(text) > MAX_STOP_CHARS for text in body.stops) else []


def needs_link(model: str, drafter: str, fields: Sequence[str]) -> bool:
    """Whether the link decides who answers. The gateway itself is asked about `fields` that only a
    server understands, and what other models there are, only the link tells."""
    if model in VIRTUAL_MODELS:
        return not fields and VIRTUAL_MODELS[model] != ON_DEVICE
    return model != drafter


def placement_for(
    model: str, drafter: str, served: Mapping[str, str], *, has_gateway: bool = False
) -> str:
    """The placement of the answer to a request for `model`.

    `drafter` is the device's own model; `served` maps the servers' models to their tiers. Any
    other name is for the gateway to know, where there is one, unless it is one of the device's with
    a letter wrong. Raises BadRequest.
    """
    if model in VIRTUAL_MODELS:
        return VIRTUAL_MODELS[model]
    if model == drafter:
        return ON_DEVICE
    if model in served:
        return f"device-{served[model]}"
    if has_gateway and not misspelt(model, VIRTUAL_MODELS):
        return GATEWAY
    raise unknown_model(model, [*VIRTUAL_MODELS, drafter, *served])


def unknown_model(model: str, known: Sequence[str]) -> BadRequest:
    """The error for a name that is none of these, with the nearest of them."""
    near = nearest(model, known)
    hint = f"did you mean {near}? Available" if near else "available"
    return BadRequest(
        f"the model {model[:MAX_SHOWN]!r} does not exist; {hint}: {', '.join(known)}",
        "model",
        "model_not_found",
    )


def api_request(
    body: RequestBody,
    headers: Mapping[str, str],
    *,
    chat: bool,
    placement: str,
    model: TextModel,
    context: int,
    privacy: Privacy,
    request_id: str = "",
) -> ApiRequest:
    """The request that `body` and `headers` describe. `context` is the device's own, in tokens.

    A prompt beyond it may still be for a server. Raises BadRequest.
    """
    prompt = _prompt(body, chat, model)
    most = context - 1 if placement == ON_DEVICE else MAX_PROMPT_TOKENS
    if len(prompt) > most:
        field = "messages" if chat else "prompt"
        raise BadRequest(
            f"{field}: {len(prompt)} tokens leave no room for an answer, at most {most} fit",
            field,
            "context_length_exceeded",
        )
    most_tokens = body.max_completion_tokens or body.max_tokens
    sampling = Sampling(
        max_tokens=most_tokens or (None if chat else PLAIN_TOKENS),
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        seed=body.seed,
        stop=body.stops,
        ignore_eos=body.ignore_eos or False,
    )
    window = _window(headers.get(WINDOW_HEADER, "auto"))
    return ApiRequest(
        placement=placement,
        generation=GenerationRequest(
            prompt=prompt, sampling=sampling, window=window, privacy=privacy, id=request_id
        ),
        chat=chat,
        stream=body.stream or False,
        usage=body.stream_options is not None and body.stream_options.include_usage is True,
        token_ids=body.return_token_ids or False,
        marks=headers.get(MARKS) == "1",
    )


def _prompt(body: RequestBody, chat: bool, model: TextModel) -> list[int]:
    if chat:
        if not body.messages:
            raise BadRequest("messages: must hold at least one message", "messages")
        try:
            return model.encode_chat(body.messages)
        except ValueError as exc:
            raise BadRequest(f"messages: {exc}", "messages") from exc
    prompts = _prompts(body.prompt)
    if len(prompts) != 1 or not prompts[0]:
        raise BadRequest("prompt: must be a string or a list of token ids", "prompt")
    prompt: str | list[int] = prompts[0]
    if isinstance(prompt, str):
        return model.encode_prompt(prompt)
    if not all(type(token_id) is int for token_id in prompt):
        raise BadRequest("prompt: must be a string or a list of token ids", "prompt")
    if min(prompt) < 0 or max(prompt) >= model.vocabulary:
        raise BadRequest(
            f"prompt: token ids must be 0 or more, and below {model.vocabulary}, the vocabulary's "
            "size",
            "prompt",
        )
    return prompt


def _prompts(prompt: Any) -> list[Any]:
    """The prompts, each a text or token ids: one request may have several."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list):
        return []
    several = bool(prompt) and all(isinstance(one, str | list) for one in prompt)
    return prompt if several else [prompt]


def _window(text: str) -> int | None:
    if text == "auto":
        return None
    window = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else MAX_WINDOW + 1
    if window > MAX_WINDOW:
        raise BadRequest(*wrong_header(WINDOW_HEADER, f"auto or 0 to {MAX_WINDOW}"))
    return window
