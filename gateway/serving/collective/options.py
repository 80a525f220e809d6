"""The options of a collective: what the settings say for all requests (`CollectivePolicy`), and the
options of one request, completed with that (`CollectiveRequest`). Every complaint names its field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.access.quota import CHARS_PER_TOKEN
from gateway.core.collective.options import (
    MAX_MEMBERS,
    Aggregate,
    MemberFilter,
    Options,
    SelfMoa,
)
from gateway.core.collective.selection import Prior
from gateway.core.prices import Prices
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import question_too_long
from gateway.errors import InvalidRequest
from gateway.protocol.device_link.work import MAX_MESSAGES
from gateway.protocol.requests.collective import MODEL, CollectiveOptions
from gateway.protocol.requests.engine_fields import OF_OTHER_RELEASES, VLLM_CHAT
from gateway.protocol.requests.neutral_fields import FOR_THE_RECORD
from gateway.protocol.requests.sampling import MAX_STOP_CHARS, MAX_TOP_K
from gateway.protocol.virtual_models import CASCADE
from gateway.serving.chat import request as chat_request
from gateway.serving.chat.messages import text_of
from gateway.serving.chat.request import DEVICE_SAMPLING, ChatRequest

WHERE = "tierflow.collective"
ROLES = ("system", "developer", "user", "assistant")
_SERVER_SAMPLING = (
    *DEVICE_SAMPLING,
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
)
"""The sampling fields of the server model; members understand fewer."""
_NOT_WITH_SELF_MOA = ("members", "tags", "max_members", "max_cost")
"""Options that choose members, of which self-moa has none."""
_HEEDED = frozenset(
    {
        *_SERVER_SAMPLING, "model", "messages", "stream", "stream_options", "max_tokens",
        "max_completion_tokens", "response_format",
    }
)  # fmt: skip
"""Fields of engines that a collective does as it is asked; of the formats, text."""
_NO_ONE_MODEL = "several models make the answer, so it has no probabilities; leave it out"
_NO_ONE_TOKENIZER = "several models make the answer, each with tokens of its own; leave it out"
_FEWER_FIELDS = "members do not understand it; leave it out, or name a served model"
_EXPLAINED = {
    "tools": "members answer in text; leave it out, or name a served model",
    "logprobs": _NO_ONE_MODEL,
    "top_logprobs": _NO_ONE_MODEL,
    "return_token_ids": _NO_ONE_TOKENIZER,
    "return_prompt_text": "several models read prompts of their own; leave it out",
    "logit_bias": "members have tokenizers of their own; leave it out",
    "structured_outputs": "members answer freely; leave it out",
    "prediction": "there is no one model to verify it; leave it out",
}
_REFUSED = sorted((VLLM_CHAT | OF_OTHER_RELEASES) - _HEEDED - FOR_THE_RECORD)
_UNSUPPORTED = {**_EXPLAINED, **{n: _EXPLAINED.get(n, _FEWER_FIELDS) for n in _REFUSED}}
"""Every field that an engine would heed and a collective does not, and why: what is neither heeded
here nor for the record would change nothing, without a word."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The requests that one caller may make: `burst` at once, and `per_s` a second in the long
    run."""

    burst: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTimes:
    """The seconds that things stay in the store, and the half-life of what was learned."""

    idempotency_s: float
    lease_s: float
    affinity_s: float
    feedback_s: float
    half_life_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectivePolicy:
    """The settings of collectives as the serving side needs them; `settings.collective` explains
    each and has the defaults. `quorum`, `grace` and `agreement` are shares; `domains` maps names to
    what they are about; `quota` None: callers have none."""

    aggregator: str
    aggregate: str
    max_members: int
    quorum: float
    grace: float
    agreement: float
    deadline_s: float
    rounds: int
    on_too_few: str
    member_tokens: int
    max_question_chars: int
    max_answer_chars: int
    feedback_weight: float
    prior: Prior
    prices: Prices
    quota: Quota | None
    retention: RetentionTimes
    domains: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRequest:
    """A chat request to a collective, with every option filled in.

    `question` is the last user message's text, `context` the messages before it. `sampling` is for
    members, with `max_tokens`; `body` is for server models, without messages.
    """

    chat: ChatRequest
    options: Options
    question: str
    context: Sequence[Mapping[str, Any]]
    sampling: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def inference(self) -> InferenceRequest:
        return self.chat.inference

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The context and the question, as texts."""
        return self.messages_with(self.question)

    def messages_with(self, content: str) -> list[Mapping[str, Any]]:
        """The messages with `content` in the question's place."""
        return [*self.context, {"role": "user", "content": content}]


def prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> float:
    """About how many tokens the messages have."""
    return sum(len(str(message.get("content"))) for message in messages) / CHARS_PER_TOKEN


def read(request: InferenceRequest, policy: CollectivePolicy) -> CollectiveRequest:
    """Raises InvalidRequest."""
    chat = chat_request.read(request, MODEL)
    _refuse(chat)
    question, context = _messages(chat.messages, policy.max_question_chars)
    sampling = chat.sampling()
    sampling["max_tokens"] = chat.max_tokens or policy.member_tokens
    server = chat.caller_fields | chat.sampling(_SERVER_SAMPLING)
    if chat.max_tokens is not None:
        server["max_tokens"] = chat.max_tokens
    return CollectiveRequest(
        chat=chat,
        options=_options(chat.options.collective or CollectiveOptions(), policy),
        question=question,
        context=context,
        sampling=sampling,
        body=server,
    )


def _refuse(chat: ChatRequest) -> None:
    """Raises InvalidRequest for a field that other models may heed, but not members."""
    chat_request.refuse(chat, MODEL, _UNSUPPORTED)
    format = chat.body.response_format
    if format is not None and format.type != "text":
        raise _unsupported("response_format", "members answer in text; leave it out")
    if any(len(text) > MAX_STOP_CHARS for text in chat.stops):
        raise _unsupported("stop", f"members take texts of up to {MAX_STOP_CHARS} characters")
    if chat.body.top_k is not None and chat.body.top_k > MAX_TOP_K:
        raise _unsupported("top_k", f"members take up to {MAX_TOP_K}")
    if chat.options.cascade is not None:
        raise _unsupported("tierflow.cascade", "it takes `tierflow.collective`")


def _messages(
    messages: Sequence[Mapping[str, Any]], max_chars: int
) -> tuple[str, list[Mapping[str, Any]]]:
    """The question's text, and the messages before it."""
    if len(messages) > MAX_MESSAGES:
        raise _unsupported("messages", f"members take up to {MAX_MESSAGES}")
    texts = [_text(message, place) for place, message in enumerate(messages)]
    if messages[-1].get("role") != "user" or not texts[-1].strip():
        raise _unsupported("messages", "the last one must be the user's, with a question as text")
    if (length := sum(map(len, texts))) > max_chars:
        raise question_too_long(length, max_chars)
    context: list[Mapping[str, Any]] = [
        {"role": message["role"], "content": text}
        for message, text in zip(messages[:-1], texts[:-1], strict=True)
    ]
    return texts[-1], context


def _text(message: Mapping[str, Any], place: int) -> str:
    """A message's text. Raises InvalidRequest for a message with anything else."""
    where = f"messages.{place}"
    if message["role"] not in ROLES:
        raise _unsupported(f"{where}.role", f"give one of {', '.join(ROLES)}")
    text = text_of(message.get("content"))
    if text is None:
        raise _unsupported(f"{where}.content", "members take text, no images, audio or files")
    return text


def _options(given: CollectiveOptions, policy: CollectivePolicy) -> Options:
    """The given options, with the policy's in the place of those that are absent."""
    names = given.members if isinstance(given.members, list) else []
    all_members = given.members == "all"
    rounds = policy.rounds if given.rounds is None else given.rounds
    if given.final == "own" and rounds == 0:
        raise chat_request.invalid(
            f"{WHERE}.final", "own is a revised answer: set rounds to 1 at least"
        )
    if given.final == "own" and given.mode == "self-moa":
        raise _invalid("final", "own is for members; self-moa has none")
    aggregator = given.aggregator or policy.aggregator
    if aggregator.startswith((MODEL, CASCADE)):
        raise chat_request.invalid(
            f"{WHERE}.aggregator", "name a model that is served, or tierflow-edge"
        )
    max_members = given.max_members or (
        MAX_MEMBERS if all_members else min(len(set(names)), MAX_MEMBERS) or policy.max_members
    )
    return Options(
        aggregate=Aggregate(given.aggregate or policy.aggregate),
        filter=MemberFilter(frozenset(names), frozenset(given.tags)),
        max_members=max_members,
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
    self_moa = given.self_moa
    for name in _NOT_WITH_SELF_MOA:
        if getattr(given, name) != getattr(CollectiveOptions(), name):
            raise _invalid(name, "it is for members; self-moa takes self_moa.samples")
    if self_moa.model and self_moa.device:
        raise _invalid("self_moa", "name a model or a device, not both")
    proposer = self_moa.device or self_moa.model or aggregator
    return SelfMoa(
        proposer=proposer,
        samples=self_moa.samples,
        temperature=self_moa.temperature,
        device=bool(self_moa.device),
    )


def _invalid(option: str, expected: str) -> InvalidRequest:
    return chat_request.invalid(f"{WHERE}.{option}", expected)


def _unsupported(param: str, reason: str) -> InvalidRequest:
    return chat_request.unsupported(param, MODEL, reason)
