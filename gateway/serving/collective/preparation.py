"""Step 1 of a collective request: who asks, who is asked, and what is known before the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.collective.report import Report
from gateway.core.collective.templates import Templates
from gateway.core.devices.member import Member
from gateway.core.ports import Callers, Clock, CollectiveTelemetry, Members, Telemetry
from gateway.core.state.operations import ClaimState
from gateway.errors import InvalidRequest, StateLost, UnknownModel
from gateway.serving.collective.aggregation import Aggregator, Served
from gateway.serving.collective.fit import FitEstimator
from gateway.serving.collective.idempotency import refuse_second
from gateway.serving.collective.memory_store import CollectiveMemory
from gateway.serving.collective.memory_values import KnownBefore, Query, UnfinishedRequest, hashed
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.policy import CollectivePolicy
from gateway.serving.collective.proposers import DeviceProposers, Proposers, SampleProposers
from gateway.serving.collective.selection import closest, eligible, select
from gateway.serving.requests.engine_calls import EngineCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveDeps:
    """What a collective works with. `wall` is Unix time in seconds, `new_id` 32 hex digits that
    nobody can guess; `served` as in `aggregating`."""

    members: Members
    callers: Callers
    calls: EngineCalls
    records: CollectiveMemory
    fitting: FitEstimator
    aggregating: Aggregator
    templates: Templates
    served: Served
    policy: CollectivePolicy
    clock: Clock
    telemetry: Telemetry
    collectives: CollectiveTelemetry
    wall: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRequest:
    """A request that may begin. `own`: the asking device whose own answer is wanted, or none."""

    asked: CollectiveRequest
    query: Query
    known: KnownBefore
    panel: Proposers
    own: str
    report: Report


def check_names(with_: CollectiveDeps, asked: CollectiveRequest) -> None:
    options, moa = asked.options, asked.options.self_moa
    models = {"aggregator": options.aggregator}
    if moa is not None and not moa.device:
        models["self_moa.model"] = moa.proposer
    for name, model in models.items():
        if with_.served(model) is None:
            where = f"tierflow.collective.{name}"
            raise UnknownModel(
                f"{where}: no such model; GET /v1/models lists them",
                param=where,
                code="model_not_found",
            )
    known = with_.templates.by_id
    if options.template is not None and options.template not in known:
        where = "tierflow.collective.template"
        raise InvalidRequest(
            f"{where}: unknown; there are {', '.join(sorted(known))}",
            param=where,
            code="unknown_template",
        )


async def prepare(
    with_: CollectiveDeps, asked: CollectiveRequest, report: Report
) -> PreparedRequest:
    """Step 1. All that is asked of the store before the work is asked at once."""
    options = asked.options
    device, owner = await _caller(with_, asked)
    own = device if options.final_own else ""
    members: list[Member] = []
    if options.self_moa is None:
        members = eligible(with_.members, options.pick, owner, asked.question, own)
    fit = await with_.fitting.fit(asked.question, members)
    members = closest(members, fit, own)
    report.domain = fit.domain
    query = _query(with_, asked, fit.domain, [m.id for m in members])
    known = await with_.records.recall(query)
    refuse_second(known)
    left = known.left
    if known.claimed.state is ClaimState.TAKEN_OVER and left is not None and left.parts:
        report.resumed, report.parts, report.asked = True, list(left.parts), list(left.asked)
        report.quorum, report.early_exit = left.quorum, left.early_exit
        # They go on who began.
        members = [m for m in members if m.id in left.asked or _answered(left, m.id)]
    max_chars = with_.policy.max_answer_chars
    panel: Proposers
    if options.self_moa is not None:
        panel = SampleProposers(
            calls=with_.calls,
            members=with_.members,
            asked=asked,
            wanted=options.self_moa,
            max_chars=max_chars,
            owner=owner,
        )
    else:
        selection = select(asked, members, fit, known, with_.policy, own)
        price = with_.policy.prices.per_token("device")
        panel = DeviceProposers(
            members=with_.members,
            selection=selection,
            asked=asked,
            max_chars=max_chars,
            owner=owner,
            price=price,
        )
    return PreparedRequest(
        asked=asked, query=query, known=known, panel=panel, own=own, report=report
    )


def _answered(left: UnfinishedRequest, device: str) -> bool:
    return any(part.device == device and part.answered for part in left.parts)


async def _caller(with_: CollectiveDeps, asked: CollectiveRequest) -> tuple[str, str]:
    authorization = asked.request.caller.authorization
    found = None
    if authorization:
        try:
            found = await with_.callers.callers_owner(authorization)
        except StateLost:
            with_.collectives.state_lost("caller")
    if found is None and asked.options.final_own:
        raise InvalidRequest(
            "tierflow.collective.final: own is for a device; send its token as "
            "`Authorization: Bearer …`",
            param="tierflow.collective.final",
            code="invalid_caller",
        )
    return found or ("", "")


def _query(
    with_: CollectiveDeps, asked: CollectiveRequest, domain: str, devices: list[str]
) -> Query:
    request = asked.request
    caller = hashed(request.caller.authorization)
    key, session = request.caller.idempotency_key, request.demands.session
    return Query(
        domain=domain,
        devices=devices,
        caller=caller,
        holder=with_.new_id(),
        session=None if session is None else hashed(caller, session),
        key=None if key is None else hashed(caller, key),
        digest="" if key is None else hashed(request.path, request.body.decode("utf-8", "replace")),
    )
