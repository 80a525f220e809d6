"""Reads a request body: what it asks of the device, or that it is for the gateway to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.protocol.speculation import MAX_PROMPT_TOKENS
from services.device_agent.answer import Ask
from services.device_agent.text import TextModel

MODELS = {
    "tierflow-on-device": "on-device",
    "tierflow-device-edge": "device-edge",
    "tierflow-device-cloud": "device-cloud",
    "tierflow-auto": "auto",
}
WINDOW_HEADER = "x-tierflow-draft-window"
MARKS_HEADER = "x-tierflow-marks"
MOST_AHEAD = 64

Stop = Annotated[str, Field(min_length=1, max_length=64)]
Ids = list[Annotated[int, Field(ge=0)]]
Count = Annotated[int, Field(ge=1, lt=2**31)]

# What a server's option may be set to without a change of the answer.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "skip_special_tokens": (True,),
    "add_generation_prompt": (True,),
    "spaces_between_special_tokens": (True,),
    "repetition_penalty": (1,),
    "add_special_tokens": (),
}


class BadRequest(Exception):
    """`param` names the field."""

    def __init__(self, message: str, param: str | None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class StreamOptions(BaseModel):
    include_usage: bool = False


class Body(BaseModel):
    """The fields that a device understands. Others make it a request for the gateway."""

    model_config = ConfigDict(strict=True)

    model: str
    messages: list[dict[str, Any]] | None = Field(default=None, min_length=1, max_length=1000)
    prompt: str | Ids | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, lt=2**31)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    ignore_eos: bool = False
    return_token_ids: bool = False
    n: int | None = None
    user: str | None = None


@dataclass(frozen=True)
class Request:
    way: str
    ask: Ask
    chat: bool
    model: str
    stream: bool
    usage: bool
    token_ids: bool
    marks: bool


def read_body(body: object) -> Body:
    """Raises BadRequest."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object", None)
    try:
        return Body.model_validate(body)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else None
        raise BadRequest(f"{name}: {first['msg']}", name) from exc


def beyond_the_device(body: Mapping[str, Any]) -> list[str]:
    """Fields that are set and that only a server understands, such as tools or logprobs."""
    found = []
    for name, value in body.items():
        known = name in Body.model_fields or value is None
        neutral = NEUTRAL.get(name, (False, 0, "", [], {}))
        if not known and value not in neutral:
            found.append(name)
    return found + (["n"] if body.get("n") not in (None, 1) else [])


def way_of(model: str, drafter: str, served: Mapping[str, str]) -> str:
    """`served` maps the servers' model names to their tiers. Raises BadRequest."""
    if model in MODELS:
        return MODELS[model]
    if model == drafter:
        return "on-device"
    if model in served:
        return f"device-{served[model]}"
    known = ", ".join([*MODELS, drafter, *served])
    raise BadRequest(
        f"the model {model!r} does not exist; available: {known}", "model", "model_not_found"
    )


def understand(
    body: Body, chat: bool, headers: Mapping[str, str], way: str, model: TextModel, context: int
) -> Request:
    """Raises BadRequest. A prompt beyond the device's own context is a server's to take."""
    prompt = _prompt(body, chat, model)
    most = context - 1 if way == "on-device" else MAX_PROMPT_TOKENS
    if len(prompt) > most:
        field = "messages" if chat else "prompt"
        raise BadRequest(
            f"{field}: {len(prompt)} tokens leave no room for an answer, at most {most} fit",
            field,
            "context_length_exceeded",
        )
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    ask = Ask(
        prompt=prompt,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        seed=body.seed,
        stop=tuple(stops),
        ignore_eos=body.ignore_eos,
        window=_window(headers.get(WINDOW_HEADER, "auto")),
    )
    return Request(
        way=way,
        ask=ask,
        chat=chat,
        model=body.model,
        stream=body.stream,
        usage=body.stream_options is not None and body.stream_options.include_usage,
        token_ids=body.return_token_ids,
        marks=headers.get(MARKS_HEADER) == "1",
    )


def _prompt(body: Body, chat: bool, model: TextModel) -> list[int]:
    if chat:
        if not body.messages:
            raise BadRequest("messages: at least one is needed", "messages")
        try:
            return model.encode_chat([of_text(message) for message in body.messages])
        except ValueError as exc:
            raise BadRequest(f"messages: {exc}", "messages") from exc
    if not body.prompt:
        raise BadRequest("prompt: a text or a list of token ids is needed", "prompt")
    if isinstance(body.prompt, str):
        return model.encode_prompt(body.prompt)
    if max(body.prompt) >= model.vocabulary:
        raise BadRequest(
            f"prompt: token ids must be below {model.vocabulary}, the vocabulary's size", "prompt"
        )
    return body.prompt


def of_text(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with its parts of text joined, as the servers do. Raises ValueError."""
    parts = message.get("content")
    if parts is None or isinstance(parts, str):
        return message
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        for part in (parts if isinstance(parts, list) else [None])
    ]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("content must be a text, or a list of parts of type text")
    return {**message, "content": "\n".join(str(text) for text in texts)}


def _window(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_AHEAD):
        raise BadRequest(
            f"{WINDOW_HEADER}: {text!r} must be auto or 0 to {MOST_AHEAD}", WINDOW_HEADER
        )
    return int(text)
