"""Those who answer: devices that were chosen, or one strong proposer several times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.core.collective.options import SelfMoa
from gateway.core.collective.report import Part
from gateway.core.collective.selection import Scored, Selection
from gateway.core.devices.member import Kind, Member, WorkOrder
from gateway.core.ports import Members
from gateway.serving.collective.options import CollectiveRequest, prompt_tokens
from gateway.serving.collective.proposals import ask_device, ask_server
from gateway.serving.collective.round import Heard, Proposal, Proposer
from gateway.serving.collective.server_model import server_call
from gateway.serving.requests.engine_calls import EngineCalls

Messages = Sequence[Mapping[str, Any]]


class Proposers(Protocol):
    """`seats` and `spare` give their first answers. `reviser` gives the seat of one that can revise
    what it said, with these messages; None: it can't. `model`: what answers at that seat."""

    @property
    def seats(self) -> Sequence[Proposer]: ...

    @property
    def spare(self) -> Sequence[Proposer]: ...

    def reviser(self, part: Part, messages: Messages) -> Proposer | None: ...

    def model(self, part: Part) -> str: ...


class DeviceProposers:
    def __init__(
        self,
        *,
        members: Members,
        selection: Selection,
        asked: CollectiveRequest,
        max_chars: int,
        owner: str = "",
        price: float = 0.0,
    ) -> None:
        """`owner`: whose devices besides the public ones may be given this work. `price`: of one
        token of theirs."""
        self._members = members
        self._max_chars = max_chars
        self._owner = owner
        self._asked = asked
        self._asks = len(selection.chosen)
        self._price = price
        self._known = {s.id: s for s in (*selection.chosen, *selection.spare)}
        first = asked.with_last(asked.question)
        self.seats = [self._seat(one, "generate", first) for one in selection.chosen]
        self.spare = [self._seat(one, "generate", first) for one in selection.spare]

    def reviser(self, part: Part, messages: Messages) -> Proposer | None:
        one = self._known.get(part.device)
        if one is None or "revise" not in one.candidate.member.abilities:
            return None
        return self._seat(one, "revise", messages)

    def model(self, part: Part) -> str:
        """Its family and, where it has none, its name."""
        member: Member | None = None
        if part.device in self._known:
            member = self._known[part.device].candidate.member
        if member is None or not member.models:
            return ""
        return member.models[0].name or member.models[0].family

    def _seat(self, one: Scored, kind: Kind, messages: Messages) -> Proposer:
        sampling = _within(self._asked, self._asks, messages, self._price)
        heard = Heard()

        async def propose(left_s: float) -> Proposal:
            order = _order(kind, messages, sampling, left_s, self._owner)
            return await ask_device(self._members, one.id, order, self._max_chars, heard)

        return Proposer(
            name=one.id,
            merit=one.merit,
            propose=propose,
            expected_s=one.candidate.seconds,
            heard=heard,
        )


def _within(
    asked: CollectiveRequest, members: int, messages: Messages, price: float = 0.0
) -> Mapping[str, Any]:
    """The sampling with what each may say when all together may take `max_tokens` and cost
    `max_cost`, prompts among it."""
    options = asked.options
    most = math.inf if options.max_tokens is None else float(options.max_tokens)
    if options.max_cost is not None and price > 0.0:
        most = min(most, options.max_cost / price)
    if math.isinf(most):
        return asked.sampling
    each = max(1, int(most / max(1, members) - prompt_tokens(messages)))
    return {**asked.sampling, "max_tokens": min(each, int(asked.sampling["max_tokens"]))}


def _order(
    kind: Kind, messages: Messages, sampling: Mapping[str, Any], left_s: float, owner: str
) -> WorkOrder:
    rest = {name: value for name, value in sampling.items() if name != "max_tokens"}
    return WorkOrder(
        kind=kind,
        messages=messages,
        max_tokens=int(sampling["max_tokens"]),
        deadline_s=left_s,
        sampling=rest,
        owner=owner,
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    asked: CollectiveRequest
    wanted: SelfMoa
    number: int

    def sampling(self, messages: Messages) -> dict[str, Any]:
        """Each sample with a seed of its own, so that they differ and a request can be repeated."""
        seed = int(self.asked.sampling.get("seed", 0)) + self.number
        seed = min(seed, 2**63 - 1)
        each = _within(self.asked, self.wanted.samples, messages)
        return {**each, "temperature": self.wanted.temperature, "seed": seed}


class SampleProposers:
    """`self-moa`: a server model, or one device, answers several times."""

    spare: Sequence[Proposer] = ()

    def __init__(
        self,
        *,
        calls: EngineCalls,
        members: Members,
        asked: CollectiveRequest,
        wanted: SelfMoa,
        max_chars: int,
        owner: str = "",
    ) -> None:
        self._owner = owner
        self._calls = calls
        self._members = members
        self._wanted = wanted
        self._max_chars = max_chars
        self._samples = {
            f"sample-{n}": _Sample(asked, wanted, n) for n in range(1, wanted.samples + 1)
        }
        first = asked.with_last(asked.question)
        self.seats = [self._seat(name, 1.0, "generate", first) for name in self._samples]

    def reviser(self, part: Part, messages: Messages) -> Proposer | None:
        if part.device not in self._samples:
            return None
        return self._seat(part.device, part.merit, "revise", messages)

    def model(self, part: Part) -> str:
        return self._wanted.proposer

    def _seat(self, name: str, merit: float, kind: Kind, messages: Messages) -> Proposer:
        sample, heard = self._samples[name], Heard()
        sampling = sample.sampling(messages)

        async def device(left_s: float) -> Proposal:
            order = _order(kind, messages, sampling, left_s, self._owner)
            proposer = self._wanted.proposer
            return await ask_device(self._members, proposer, order, self._max_chars, heard)

        async def server(left_s: float) -> Proposal:
            call = server_call(sample.asked, messages, f"{kind}-{sample.number}")
            body = {**call.body, **sampling}
            return await ask_server(
                self._calls, replace(call, model=self._wanted.proposer, body=body)
            )

        return Proposer(
            name=name, merit=merit, propose=device if self._wanted.device else server, heard=heard
        )
