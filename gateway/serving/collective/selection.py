"""The first step of a collective: who calls, what is known, and which members are asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from gateway.core.access.tiers import check_model, check_tier
from gateway.core.collective.quorum import step_deadline
from gateway.core.collective.report import Report
from gateway.core.collective.selection import Candidate, Caps, Selection, choose, obstacle
from gateway.core.collective.templates import Templates
from gateway.core.devices.member import Member
from gateway.core.ports import Callers, Clock, CollectiveTelemetry, Members, Telemetry
from gateway.core.state.operations import ClaimState, Mean
from gateway.errors import InvalidRequest, OutOfScope, StateLost, UnknownModel
from gateway.protocol.headers import IDEMPOTENCY_KEY
from gateway.protocol.nearest import nearest
from gateway.protocol.virtual_models import COLLECTIVE
from gateway.serving.collective.aggregation import Aggregator, ServedModels
from gateway.serving.collective.fit import Fit, FitEstimator
from gateway.serving.collective.idempotency import check_claim
from gateway.serving.collective.memory import (
    STRAGGLER_WEIGHT,
    PriorKnowledge,
    RequestKeys,
    UnfinishedRequest,
    hashed,
)
from gateway.serving.collective.memory_store import CollectiveMemory
from gateway.serving.collective.options import CollectivePolicy, CollectiveRequest, prompt_tokens
from gateway.serving.collective.proposers import DeviceProposers, Proposers, SampleProposers
from gateway.serving.collective.server_model import ServerModel

MAX_COMPARED = 1024
"""Members that are compared with one question. The request waits for the comparison."""
MAX_CANDIDATES = 64
"""The best-fitting members, whose measured quality is read from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveDeps:
    """The parts that a collective works with. `room` gives the most tokens that a model's engines
    take, if they say it; `unix_time` gives seconds, `new_id` 32 hex digits that nobody can guess.
    """

    members: Members
    callers: Callers
    server_model: ServerModel
    memory: CollectiveMemory
    fit_estimator: FitEstimator
    aggregator: Aggregator
    templates: Templates
    served: ServedModels
    room: Callable[[str], int | None]
    policy: CollectivePolicy
    clock: Clock
    telemetry: Telemetry
    collective_telemetry: CollectiveTelemetry
    unix_time: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request whose proposers are chosen. `own`: the calling device if its own revised answer is
    wanted, else ""."""

    request: CollectiveRequest
    keys: RequestKeys
    prior: PriorKnowledge
    proposers: Proposers
    own: str
    report: Report


def check_names(deps: CollectiveDeps, request: CollectiveRequest) -> None:
    """Raises UnknownModel or InvalidRequest for a model or a template that does not exist."""
    options, self_moa = request.options, request.options.self_moa
    models = {"aggregator": options.aggregator}
    if self_moa is not None and not self_moa.device:
        models["self_moa.model"] = self_moa.proposer
    for name, model in models.items():
        if deps.served(model) is None:
            param = f"tierflow.collective.{name}"
            raise UnknownModel(
                f"{param}: no such model; GET /v1/models lists them",
                param=param,
                code="model_not_found",
            )
    templates = deps.templates.by_id
    if options.template is not None and options.template not in templates:
        param = "tierflow.collective.template"
        raise InvalidRequest(
            f"{param}: no such template; there are {', '.join(sorted(templates))}",
            param=param,
            code="unknown_template",
        )


def check_key(request: CollectiveRequest) -> None:
    """Raises OutOfScope where the caller's key is not for devices, for a model that the request
    names, or for as many requests to engines as this one may take."""
    caller, options = request.inference.caller, request.options
    if (given := request.chat.options.collective) is not None:
        named = {"aggregator": given.aggregator, "self_moa.model": given.self_moa.model}
        for name, model in named.items():
            if model is not None:
                check_model(caller.key, caller.scope, model, f"tierflow.collective.{name}")
    if options.devices:
        check_tier(caller.key, caller.scope, "device", COLLECTIVE)
    if caller.fan_out is not None and options.most_engine_requests > caller.fan_out:
        raise OutOfScope(
            f"this request may ask engines {options.most_engine_requests} times, and the key "
            f"{caller.key} allows {caller.fan_out}; ask for fewer samples, members or rounds",
            param="tierflow.collective",
            code="fan_out_exceeded",
        )


def check_room(deps: CollectiveDeps, request: CollectiveRequest) -> None:
    """Raises InvalidRequest for an answer longer than the aggregator's engine gives, which would
    refuse it only after the reply has begun."""
    model, most = request.options.aggregator, request.chat.max_tokens
    room = deps.room(model)
    if most is not None and room is not None and most > room:
        raise InvalidRequest(
            f"max_tokens: {model} has room for {room} tokens",
            param="max_tokens",
            code="engine_refused",
        )


async def prepare(
    deps: CollectiveDeps, request: CollectiveRequest, report: Report
) -> PreparedRequest:
    """Choose the proposers. What the store knows is read in one round trip.

    Raises InvalidRequest, QuotaExceeded and, for a request with an idempotency key, Conflict and
    StateLost.
    """
    options = request.options
    device, owner = await _caller(deps, request)
    own = device if options.final_own else ""
    members: list[Member] = []
    if options.self_moa is None:
        obstacles = partial(
            obstacle, filter=options.filter, owner=owner, privacy=request.inference.privacy
        )
        members = eligible(deps.members, obstacles, request.question, own)
        report.unknown = _unknown_names(options.filter.ids, deps.members)
    # Vectors are kept for the next question, and an embedder caches its prompts.
    by_words = not request.inference.privacy.keeps or "cache_salt" in request.chat.caller_fields
    fit = await deps.fit_estimator.fit(request.question, members, by_words=by_words)
    members = closest(members, fit, own)
    report.domain = fit.domain
    keys = _keys(deps, request, fit.domain, [m.id for m in members])
    prior = await deps.memory.recall(keys)
    check_claim(prior.claimed)
    unfinished = prior.unfinished
    if (
        prior.claimed.state is ClaimState.TAKEN_OVER
        and unfinished is not None
        and unfinished.contributions
    ):
        _resume(report, unfinished)
        # Only the members that took part go on, though others might be chosen by now.
        answered = {
            contribution.device
            for contribution in unfinished.contributions
            if contribution.answered
        }
        members = [m for m in members if m.id in unfinished.chosen or m.id in answered]
    return PreparedRequest(
        request=request,
        keys=keys,
        prior=prior,
        proposers=_proposers(
            deps, request, members=members, fit=fit, prior=prior, owner=owner, own=own
        ),
        own=own,
        report=report,
    )


def _unknown_names(names: Collection[str], members: Members) -> dict[str, str | None]:
    """The names that no device has, each with the nearest one of those that answer anybody. They
    may be of devices that come back, so they are no reason to refuse the request."""
    connected = members.members()
    unknown = sorted(set(names) - {member.id for member in connected})
    public = [member.id for member in connected if member.privacy == "public"] if unknown else []
    return {name: nearest(name, public[:MAX_COMPARED]) for name in unknown}


def _resume(report: Report, unfinished: UnfinishedRequest) -> None:
    report.resumed = True
    report.contributions, report.chosen = list(unfinished.contributions), list(unfinished.chosen)
    report.quorum, report.early_exit = unfinished.quorum, unfinished.early_exit


async def _caller(deps: CollectiveDeps, request: CollectiveRequest) -> tuple[str, str]:
    """The device that calls and its proven owner, each "" where there is none. Raises
    InvalidRequest when a device's own answer is wanted and no device calls."""
    authorization = request.inference.caller.authorization
    grant = None
    if authorization:
        try:
            grant = await deps.callers.device_of(authorization)
        except StateLost:
            deps.collective_telemetry.state_lost("caller")
    if grant is None and request.options.final_own:
        raise InvalidRequest(
            "tierflow.collective.final: own is for a device; send its token as "
            "`Authorization: Bearer …`",
            param="tierflow.collective.final",
            code="invalid_caller",
        )
    return ("", "") if grant is None else (grant.device, grant.owner or "")


def _keys(
    deps: CollectiveDeps, request: CollectiveRequest, domain: str, devices: list[str]
) -> RequestKeys:
    inference = request.inference
    caller = hashed(inference.caller.owner)
    key, session = inference.caller.idempotency_key, inference.demands.session
    digest = ""
    if key is not None and not inference.privacy.keeps:
        raise InvalidRequest(
            f"{IDEMPOTENCY_KEY}: it has the answer kept, and nothing of a request of the class "
            f"{inference.privacy.name} is; leave one of the two headers out",
            param=IDEMPOTENCY_KEY,
            code="invalid_header",
        )
    if key is not None:
        digest = hashed(inference.path, inference.body.decode("utf-8", "replace"))
    return RequestKeys(
        domain=domain,
        devices=devices,
        caller=caller,
        holder=deps.new_id(),
        session=None if session is None else hashed(caller, session),
        key=None if key is None else hashed(caller, key),
        digest=digest,
    )


def _proposers(
    deps: CollectiveDeps,
    request: CollectiveRequest,
    *,
    members: Sequence[Member],
    fit: Fit,
    prior: PriorKnowledge,
    owner: str,
    own: str,
) -> Proposers:
    max_chars = deps.policy.max_answer_chars
    if request.options.self_moa is not None:
        return SampleProposers(
            server_model=deps.server_model,
            members=deps.members,
            request=request,
            self_moa=request.options.self_moa,
            max_chars=max_chars,
            owner=owner,
        )
    return DeviceProposers(
        members=deps.members,
        selection=choose_members(
            request, members=members, fit=fit, prior=prior, policy=deps.policy, always=own
        ),
        request=request,
        max_chars=max_chars,
        owner=owner,
        price=deps.policy.prices.per_token("device"),
    )


def eligible(
    members: Members, obstacle: Callable[[Member], str | None], question: str, always: str = ""
) -> list[Member]:
    """The members that may be asked: those without an obstacle. Of more than `MAX_COMPARED` each
    question gets another selection, which `always` is contribution of."""
    candidates = [m for m in members.members() if obstacle(m) is None]
    if len(candidates) <= MAX_COMPARED:
        return candidates
    seed = crc32(question.encode("utf-8", "replace"))
    candidates.sort(key=lambda m: (m.id != always, crc32(m.id.encode(), seed)))
    return candidates[:MAX_COMPARED]


def closest(members: Sequence[Member], fit: Fit, always: str) -> list[Member]:
    """The `MAX_CANDIDATES` members that fit best, best first; `always` comes before all others."""
    ranked = sorted(members, key=lambda m: (m.id != always, -fit.similarity.get(m.id, 0.0), m.id))
    return ranked[:MAX_CANDIDATES]


def choose_members(
    request: CollectiveRequest,
    *,
    members: Sequence[Member],
    fit: Fit,
    prior: PriorKnowledge,
    policy: CollectivePolicy,
    always: str,
) -> Selection:
    """The members to ask, within the request's caps; `always` comes before all others."""
    options = request.options
    caps = Caps(
        members=options.max_members,
        seconds=step_deadline(0.0, options.deadline_s, options.rounds + 1),
        tokens=math.inf if options.max_tokens is None else float(options.max_tokens),
        cost=math.inf if options.max_cost is None else options.max_cost,
        price=policy.prices.per_token("device"),
    )
    candidates = [_candidate(request, member, fit, prior) for member in members]
    return choose(candidates, caps, policy.prior, always)


def _candidate(
    request: CollectiveRequest, member: Member, fit: Fit, prior: PriorKnowledge
) -> Candidate:
    max_tokens = request.sampling["max_tokens"]
    # A member that has not been observed is expected to use half of what it may.
    answer_tokens = min(_mean_or(prior.tokens.get(member.id), max_tokens / 2), float(max_tokens))
    return Candidate(
        member=member,
        similarity=fit.similarity.get(member.id, 0.0),
        quality=prior.quality.get(member.id, Mean()),
        seconds=_mean_or(prior.seconds.get(member.id), member.condition.round_trip_s),
        tokens=prompt_tokens(request.messages) + answer_tokens,
        familiar=member.id in prior.familiar,
    )


def _mean_or(mean: Mean | None, default: float) -> float:
    """The mean, if it rests on more than one observation of a straggler."""
    return mean.value if mean is not None and mean.weight > STRAGGLER_WEIGHT else default
