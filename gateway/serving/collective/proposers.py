"""The proposers of a collective: the devices that were chosen, or one strong proposer several
times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gateway.core.collective.options import SelfMoa
from gateway.core.collective.report import Contribution
from gateway.core.collective.selection import ScoredMember, Selection
from gateway.core.devices.member import Kind, MemberFailed, WorkEnd, WorkOrder
from gateway.core.ports import Members
from gateway.serving.collective.options import CollectiveRequest, prompt_tokens
from gateway.serving.collective.round import Proposal, Proposer
from gateway.serving.collective.server_model import ServerModel, server_call
from gateway.serving.requests.engine_calls import EngineCall

Messages = Sequence[Mapping[str, Any]]

PROMPT_SLACK = 256
"""Tokens that a device's chat template and system prompt may add to one per character."""


class Proposers(Protocol):
    """The proposers of one request: the `chosen` ones, and `spare` ones that take the place of
    those that fail, best first.

    `reviser` gives the proposer that revises its own `contribution`, given `messages`; None where
    it can't revise. `model` names the model that made a contribution, "" where that is unknown.
    """

    @property
    def chosen(self) -> Sequence[Proposer]: ...

    @property
    def spare(self) -> Sequence[Proposer]: ...

    def reviser(self, contribution: Contribution, messages: Messages) -> Proposer | None: ...

    def model(self, contribution: Contribution) -> str: ...


class DeviceProposers:
    """The devices that were chosen for a request.

    `owner`: whose devices besides the public ones may be given this work. `price`: of one token of
    theirs. `max_chars`: the longest answer of one device.
    """

    def __init__(
        self,
        *,
        members: Members,
        selection: Selection,
        request: CollectiveRequest,
        max_chars: int,
        owner: str = "",
        price: float = 0.0,
    ) -> None:
        self._members = members
        self._selection = selection
        self._request = request
        self._max_chars = max_chars
        self._owner = owner
        self._price = price
        self._scored = {scored.id: scored for scored in (*selection.chosen, *selection.spare)}
        question = request.messages
        self.chosen = [self._proposer(s, "generate", question) for s in selection.chosen]
        self.spare = [self._proposer(s, "generate", question) for s in selection.spare]

    def reviser(self, contribution: Contribution, messages: Messages) -> Proposer | None:
        scored = self._scored.get(contribution.device)
        if scored is None or "revise" not in scored.candidate.member.abilities:
            return None
        return self._proposer(scored, "revise", messages)

    def model(self, contribution: Contribution) -> str:
        """Its name and, where it has none, its family."""
        scored = self._scored.get(contribution.device)
        if scored is None or not scored.candidate.member.models:
            return ""
        model = scored.candidate.member.models[0]
        return model.name or model.family

    def _proposer(self, scored: ScoredMember, kind: Kind, messages: Messages) -> DeviceProposer:
        return DeviceProposer(
            members=self._members,
            device=scored.id,
            name=scored.id,
            merit=scored.merit,
            expected_s=scored.candidate.seconds,
            kind=kind,
            messages=messages,
            sampling=_capped_sampling(
                self._request, len(self._selection.chosen), messages, self._price
            ),
            owner=self._owner,
            max_chars=self._max_chars,
            id=f"{self._request.inference.id}/{kind}",
        )


class SampleProposers:
    """One strong proposer, a server model or a device, that answers a request several times
    (`self-moa`). The samples are called sample-1, sample-2, and so on."""

    spare: Sequence[Proposer] = ()

    def __init__(
        self,
        *,
        server_model: ServerModel,
        members: Members,
        request: CollectiveRequest,
        self_moa: SelfMoa,
        max_chars: int,
        owner: str = "",
    ) -> None:
        self._server_model = server_model
        self._members = members
        self._request = request
        self._self_moa = self_moa
        self._max_chars = max_chars
        self._owner = owner
        self._numbers = {f"sample-{n}": n for n in range(1, self_moa.samples + 1)}
        question = request.messages
        self.chosen = [self._proposer(name, 1.0, "generate", question) for name in self._numbers]

    def reviser(self, contribution: Contribution, messages: Messages) -> Proposer | None:
        if contribution.device not in self._numbers:
            return None
        return self._proposer(contribution.device, contribution.merit, "revise", messages)

    def model(self, contribution: Contribution) -> str:
        return self._self_moa.proposer

    def _proposer(self, name: str, merit: float, kind: Kind, messages: Messages) -> Proposer:
        sampling = self._sampling(self._numbers[name], messages)
        if self._self_moa.device:
            return DeviceProposer(
                members=self._members,
                device=self._self_moa.proposer,
                name=name,
                merit=merit,
                expected_s=0.0,
                kind=kind,
                messages=messages,
                sampling=sampling,
                owner=self._owner,
                max_chars=self._max_chars,
                id=f"{self._request.inference.id}/{kind}-{self._numbers[name]}",
            )
        call = server_call(self._request, messages, f"{kind}-{self._numbers[name]}")
        call = replace(call, model=self._self_moa.proposer, body={**call.body, **sampling})
        return ServerProposer(server_model=self._server_model, call=call, name=name, merit=merit)

    def _sampling(self, number: int, messages: Messages) -> Mapping[str, Any]:
        """With a seed for each sample, so that samples differ and a request can be repeated."""
        seed = min(int(self._request.sampling.get("seed", 0)) + number, 2**63 - 1)
        capped = _capped_sampling(self._request, self._self_moa.samples, messages)
        return {**capped, "temperature": self._self_moa.temperature, "seed": seed}


@dataclass(slots=True, kw_only=True)
class DeviceProposer:
    """A `Proposer` that is a device, asked over its connection."""

    members: Members
    device: str
    name: str
    merit: float
    expected_s: float
    kind: Kind
    messages: Messages
    sampling: Mapping[str, Any]
    owner: str
    max_chars: int
    id: str = ""
    received_tokens: int = 0

    async def propose(self, remaining_s: float) -> Proposal:
        """Raises MemberFailed, also for an answer longer than `max_chars`."""
        order = self._order(remaining_s)
        work = self.members.assign(self.device, order)
        pieces, chars = list[str](), 0
        try:
            while not isinstance(piece := await work.read(), WorkEnd):
                chars += len(piece.text)
                tokens = self.received_tokens + max(0, piece.tokens)
                self.received_tokens = min(tokens, order.max_tokens)
                if chars > self.max_chars:
                    message = (
                        f"{self.device} gave an answer of more than {self.max_chars} characters"
                    )
                    raise MemberFailed(device=self.device, code="misbehaved", message=message)
                pieces.append(piece.text)
        except BaseException:
            work.cancel()
            raise
        return self._proposal("".join(pieces), piece, order)

    def _order(self, remaining_s: float) -> WorkOrder:
        sampling = {name: value for name, value in self.sampling.items() if name != "max_tokens"}
        return WorkOrder(
            kind=self.kind,
            messages=self.messages,
            max_tokens=int(self.sampling["max_tokens"]),
            deadline_s=remaining_s,
            sampling=sampling,
            owner=self.owner,
            id=self.id,
        )

    def _proposal(self, text: str, end: WorkEnd, order: WorkOrder) -> Proposal:
        if end.reason not in ("stop", "length"):
            message = f"{self.device} broke off its answer"
            raise MemberFailed(device=self.device, code="broken", message=message)
        # A device may claim any number of tokens; more than the order allows are not believed.
        chars = sum(len(str(message.get("content"))) for message in order.messages)
        return Proposal(
            text=text,
            prompt_tokens=min(max(0, end.prompt_tokens), chars + PROMPT_SLACK),
            completion_tokens=min(max(0, end.completion_tokens), order.max_tokens),
            logprob=end.logprob,
            finish_reason=end.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProposer:
    """A `Proposer` that is one sample of a server model. Its tokens are known only at the end."""

    server_model: ServerModel
    call: EngineCall
    name: str
    merit: float
    expected_s: float = 0.0
    received_tokens: int = 0

    async def propose(self, remaining_s: float) -> Proposal:
        """Raises what `ServerModel.whole` raises."""
        answer = await self.server_model.whole(self.call)
        return Proposal(
            text=answer.text,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            tier=answer.tier,
            finish_reason=answer.finish_reason,
        )


def _capped_sampling(
    request: CollectiveRequest, proposers: int, messages: Messages, price: float = 0.0
) -> Mapping[str, Any]:
    """The request's sampling, with `max_tokens` cut to one proposer's share of what all may take
    (`tierflow.collective.max_tokens`) and cost (`max_cost`), prompts included."""
    options = request.options
    most = math.inf if options.max_tokens is None else float(options.max_tokens)
    if options.max_cost is not None and price > 0.0:
        most = min(most, options.max_cost / price)
    if math.isinf(most):
        return request.sampling
    share = max(1, int(most / max(1, proposers) - prompt_tokens(messages)))
    return {**request.sampling, "max_tokens": min(share, int(request.sampling["max_tokens"]))}
