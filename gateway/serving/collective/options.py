"""From a chat request to what a collective is asked; every complaint names its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from gateway.core.collective.options import (
    MAX_MEMBERS,
    Aggregate,
    Options,
    Pick,
    SelfMoa,
)
from gateway.core.types import InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.collective import MODEL, CollectiveOptions
from gateway.protocol.work import MAX_MESSAGES
from gateway.serving.collective.policy import CollectivePolicy

PATH = "/v1/chat/completions"
WHERE = "tierflow.collective"
CHARS_PER_TOKEN = 4
_SAMPLING = ("temperature", "top_p", "top_k", "seed", "stop", "ignore_eos")
"""Fields that members understand; the server model gets the penalties as well."""
_SERVER_SAMPLING = (*_SAMPLING, "min_p", "frequency_penalty", "presence_penalty")
_MEMBERS_ALONE = ("members", "tags", "max_members", "max_cost")
"""Options that say who is asked, which self-moa has settled."""
_REFUSED = {
    "tools": "members answer in text; leave it out",
    "functions": "members answer in text; leave it out",
    "logprobs": "there is no one model whose probabilities these would be; leave it out",
    "top_logprobs": "there is no one model whose probabilities these would be; leave it out",
    "logit_bias": "members have tokenizers of their own; leave it out",
    "structured_outputs": "members answer freely; leave it out",
    "prediction": "there is no one model to verify it; leave it out",
    "audio": "members answer in text; leave it out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRequest:
    """`question` is the last user message's text, `context` the messages before it. `sampling` is
    for members, with `max_tokens`; `body` for server models, without messages. `usage`: a stream
    ends with a usage chunk."""

    request: InferenceRequest
    options: Options
    question: str
    context: Sequence[Mapping[str, Any]]
    sampling: Mapping[str, Any]
    body: Mapping[str, Any]
    usage: bool

    def with_last(self, content: str) -> list[Mapping[str, Any]]:
        """The messages with `content` in the question's place."""
        return [*self.context, {"role": "user", "content": content}]


def prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> float:
    """Of any tokenizer, roughly."""
    return sum(len(str(message.get("content"))) for message in messages) / CHARS_PER_TOKEN


def read(request: InferenceRequest, policy: CollectivePolicy) -> CollectiveRequest:
    """Raises InvalidRequest."""
    if request.path != PATH:
        raise InvalidRequest(
            f"model: {MODEL} answers at {PATH} only", param="model", code="invalid_route"
        )
    body = orjson.loads(request.body)
    _refuse_unsupported(body)
    question, context = _messages(body.get("messages"), policy.max_question_chars)
    sampling = {name: body[name] for name in _SAMPLING if body.get(name) is not None}
    if isinstance(sampling.get("stop"), str):
        sampling["stop"] = [sampling["stop"]]
    _check_sampling(sampling)
    sampling["max_tokens"] = request.max_tokens or policy.member_tokens
    server = {name: body[name] for name in _SERVER_SAMPLING if body.get(name) is not None}
    if request.max_tokens is not None:
        server["max_tokens"] = request.max_tokens
    options = _options(_given(body.get("tierflow")), policy)
    usage = (body.get("stream_options") or {}).get("include_usage") is True
    return CollectiveRequest(
        request=request,
        options=options,
        question=question,
        context=context,
        sampling=sampling,
        body=server,
        usage=usage,
    )


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, fix in _REFUSED.items():
        if body.get(name):
            raise _invalid(name, f"not with {MODEL}: {fix}", "invalid_field")
    if body.get("n") not in (None, 1):
        raise _invalid("n", f"not with {MODEL}: one answer is made of many; ask for 1")
    if body.get("response_format") not in (None, {"type": "text"}):
        raise _invalid("response_format", f"not with {MODEL}: only text; leave it out")
    if not isinstance(body.get("stream_options") or {}, dict):
        raise _invalid("stream_options", "give an object")


def _messages(messages: Any, max_chars: int) -> tuple[str, list[Mapping[str, Any]]]:
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise _invalid("messages", f"give a list of 1 to {MAX_MESSAGES} messages")
    texts = [_text(message, place) for place, message in enumerate(messages)]
    if messages[-1].get("role") != "user" or not texts[-1].strip():
        raise _invalid("messages", "the last one must be the user's, with the question as its text")
    if (length := sum(map(len, texts))) > max_chars:
        raise _invalid(
            "messages",
            f"{length} characters; every member gets them all, and the limit is {max_chars} "
            "(collective.max_question_chars)",
            "prompt_too_long",
        )
    context: list[Mapping[str, Any]] = [
        {"role": message["role"], "content": text}
        for message, text in zip(messages[:-1], texts[:-1], strict=True)
    ]
    return texts[-1], context


def _text(message: Any, place: int) -> str:
    """A message's text; parts that are none are refused, as members can't be shown them."""
    where = f"messages.{place}"
    if not isinstance(message, dict) or message.get("role") not in (
        "system",
        "developer",
        "user",
        "assistant",
    ):
        raise _invalid(where, "its role must be system, developer, user or assistant")
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise _invalid(f"{where}.content", "give text: members take no images, audio or files")
    return "\n".join(map(str, texts))


_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (1e-6, 1.0),
    "top_k": (-1, 2**31 - 1),
    "seed": (-(2**63), 2**63 - 1),
}


def _check_sampling(sampling: Mapping[str, Any]) -> None:
    for name, (least, most) in _RANGES.items():
        value = sampling.get(name)
        whole = name in ("top_k", "seed")
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise _invalid(name, f"give a{' whole' if whole else ''} number")
        if not least <= value <= most:
            raise _invalid(name, f"from {least:g} to {most:g}")
    stop = sampling.get("stop") or []
    if len(stop) > 4 or not all(isinstance(s, str) and 1 <= len(s) <= 64 for s in stop):
        raise _invalid("stop", "up to 4 texts of 1 to 64 characters")
    if not isinstance(sampling.get("ignore_eos", False), bool):
        raise _invalid("ignore_eos", "true or false")


def _given(tierflow: Any) -> CollectiveOptions:
    if tierflow is None:
        return CollectiveOptions()
    if not isinstance(tierflow, dict):
        raise _invalid("tierflow", 'give an object, such as {"collective": {"rounds": 1}}')
    if unknown := sorted(set(tierflow) - {"collective"}):
        raise _invalid(f"tierflow.{unknown[0][:64]}", f"{MODEL} knows only `collective` here")
    try:
        return CollectiveOptions.model_validate_json(orjson.dumps(tierflow.get("collective") or {}))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join([WHERE, *(str(part)[:64] for part in first["loc"])])
        raise _invalid(name, first["msg"]) from None


def _options(given: CollectiveOptions, policy: CollectivePolicy) -> Options:
    names = given.members if isinstance(given.members, list) else []
    everybody = given.members == "all"
    rounds = policy.rounds if given.rounds is None else given.rounds
    if given.final == "own" and rounds == 0:
        raise _invalid(f"{WHERE}.final", "own is a revised answer: set rounds to 1 at least")
    if given.final == "own" and given.mode == "self-moa":
        raise _invalid(f"{WHERE}.final", "own is for members; self-moa has none")
    aggregator = given.aggregator or policy.aggregator
    if aggregator.startswith((MODEL, "tierflow-cascade")):
        raise _invalid(f"{WHERE}.aggregator", "name a model that is served, or tierflow-edge")
    most = given.max_members or (
        MAX_MEMBERS if everybody else min(len(set(names)), MAX_MEMBERS) or policy.max_members
    )
    return Options(
        aggregate=Aggregate(given.aggregate or policy.aggregate),
        pick=Pick(tuple(dict.fromkeys(names)), frozenset(given.tags), everybody),
        max_members=most,
        quorum=given.quorum,
        deadline_s=given.deadline_ms / 1000.0 if given.deadline_ms else policy.deadline_s,
        rounds=rounds,
        aggregator=aggregator,
        agreement=given.agreement or policy.agreement,
        max_tokens=given.max_tokens,
        max_cost=given.max_cost,
        final_own=given.final == "own",
        degrade=(given.on_too_few or policy.on_too_few) == "degrade",
        template=given.template,
        self_moa=_self_moa(given, aggregator) if given.mode == "self-moa" else None,
    )


def _self_moa(given: CollectiveOptions, aggregator: str) -> SelfMoa:
    wanted = given.self_moa
    for name in _MEMBERS_ALONE:
        if getattr(given, name) != CollectiveOptions.model_fields[name].default:
            raise _invalid(
                f"{WHERE}.{name}", "it is for members; self-moa goes by self_moa.samples"
            )
    if wanted.model and wanted.device:
        raise _invalid(f"{WHERE}.self_moa", "name a model or a device, not both")
    proposer = wanted.device or wanted.model or aggregator
    return SelfMoa(
        proposer=proposer,
        samples=wanted.samples,
        temperature=wanted.temperature,
        device=bool(wanted.device),
    )


def _invalid(name: str, fix: str, code: str = "invalid_value") -> InvalidRequest:
    return InvalidRequest(f"{name}: {fix}", param=name, code=code)
