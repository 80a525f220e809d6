"""Reads the body of a request, and says whether the device or the gateway has to answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import Headers

from gateway.protocol import virtual_models
from gateway.protocol.field_problems import field_problem
from gateway.protocol.fields import MAX_STOP_CHARS, MAX_STOPS, Privacy, Sampling
from gateway.protocol.headers import MARKS, PRIVACY, header_given_twice
from gateway.protocol.nearest import misspelt, nearest
from gateway.protocol.neutral_fields import telling_fields
from gateway.protocol.speculation import MAX_PROMPT_TOKENS
from services.device_agent.answers.answer import GenerationRequest
from services.device_agent.answers.answer_router import GATEWAY
from services.device_agent.text import TextModel

VIRTUAL_MODELS = {
    virtual_models.ON_DEVICE: "on-device",
    virtual_models.DEVICE_EDGE: "device-edge",
    virtual_models.DEVICE_CLOUD: "device-cloud",
    virtual_models.AUTO: "auto",
}
MAX_SHOWN = 256
"""Characters of a model's name that an error repeats."""
WINDOW_HEADER = "x-tierflow-draft-window"
MAX_WINDOW = 64
"""Draft tokens ahead of the verified text that a caller may ask for."""

PLAIN_TOKENS = 16
"""The bound on a plain completion that sets none, as OpenAI's and vLLM's."""


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


Stops = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(max_length=MAX_STOPS),
    BeforeValidator(_listed),
]
Count = Annotated[int, Field(ge=1, lt=2**31)]


class BadRequest(Exception):
    """The request can't be answered as it is; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class StreamOptions(BaseModel):
    """What a stream shall tell beside the answer."""

    include_usage: bool | None = False


class RequestBody(BaseModel):
    """The fields that a device understands. With others, the request goes to the gateway."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: list[dict[str, Any]] | None = Field(default=None, min_length=1, max_length=1000)
    prompt: Any = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, lt=2**31)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Stops | None = None
    ignore_eos: bool | None = False
    return_token_ids: bool | None = False
    user: str | None = None


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
        raise BadRequest(f"{twice}: expected once", twice, "invalid_header")


def privacy_class(headers: Mapping[str, str], least: Privacy) -> Privacy:
    """The class of a request on a device whose requests have `least` at least. Raises
    BadRequest."""
    classes = get_args(Privacy)
    wanted = headers.get(PRIVACY, "public").strip().lower()
    if wanted not in classes:
        raise BadRequest(f"{PRIVACY}: {wanted[:64]!r} must be one of {', '.join(classes)}", PRIVACY)
    found: Privacy = classes[max(classes.index(wanted), classes.index(least))]
    return found


def read_body(body: object) -> RequestBody:
    """Raises BadRequest."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    try:
        return RequestBody.model_validate(body)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else None
        raise BadRequest(f"{name}: {field_problem(first)}", name) from exc


def server_only_fields(body: Mapping[str, Any]) -> list[str]:
    """Fields that are set and that only a server understands, such as tools or logprobs."""
    fields = telling_fields(body, RequestBody.model_fields)
    return fields + (["prompt"] if len(_prompts(body.get("prompt"))) > 1 else [])


def fields_beyond_frames(body: RequestBody) -> list[str]:
    """Fields that the device understands, with values that the frames to a verifier don't hold."""
    return ["stop"] if any(len(text) > MAX_STOP_CHARS for text in body.stop or ()) else []


def needs_link(model: str, drafter: str, fields: Sequence[str]) -> bool:
    """Whether the link decides who answers. The gateway itself is asked about `fields` that only a
    server understands, and what other models there are, only the link tells."""
    if model in VIRTUAL_MODELS:
        return not fields and VIRTUAL_MODELS[model] != "on-device"
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
        return "on-device"
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
    most = context - 1 if placement == "on-device" else MAX_PROMPT_TOKENS
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
        stop=body.stop or [],
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
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_WINDOW):
        raise BadRequest(
            f"{WINDOW_HEADER}: {text!r} must be auto or 0 to {MAX_WINDOW}", WINDOW_HEADER
        )
    return int(text)
