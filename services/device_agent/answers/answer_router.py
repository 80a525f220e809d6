"""Chooses who gives an answer, and continues it where the verifier is lost: in a new session where
a gateway can be reached, else on the device."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.protocol import virtual_models
from gateway.protocol.device_link.speculation import MAX_PROMPT_TOKENS, Offer, Privacy, Tier
from gateway.protocol.headers import PRIVACY
from services.device_agent.answers.answer import AnswerPiece, AnswerReport, GenerationRequest
from services.device_agent.answers.local_answer import local_answer
from services.device_agent.answers.verified_answer import (
    PRIVACY_CLASS,
    RequestRefused,
    VerifiedAnswer,
    VerifierLost,
)
from services.device_agent.answers.verifier_profile import VerifierProfile
from services.device_agent.drafters.port import DrafterFailed, DraftStream
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.link import Link
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel

log = logging.getLogger("tierflow.device")

ON_DEVICE, DEVICE_EDGE, DEVICE_CLOUD = "on-device", "device-edge", "device-cloud"
GATEWAY = "gateway"
"""The placement of an answer that the gateway alone gives; without it, the device does."""
VERIFYING_TIERS: dict[str, tuple[Tier, ...]] = {
    ON_DEVICE: (),
    DEVICE_EDGE: ("edge",),
    DEVICE_CLOUD: ("cloud",),
    "auto": ("cloud", "edge"),
    GATEWAY: ("cloud", "edge"),
}
OPEN_PLACEMENTS = frozenset({"auto", GATEWAY})
"""Whoever may see the request answers it."""
"""By placement, the tiers that may verify: the first of them that the gateway offers."""

MAX_FRUITLESS = 3
"""Sessions in a row that bring no further token, before an answer goes on alone."""


@dataclass(frozen=True)
class AnswerRoute:
    """The choice of who gives an answer: the verifier of `offer`, or (None) the device alone.

    `degraded` says why the device answers alone though another placement was asked for.
    """

    placement: str
    offer: Offer | None = None
    degraded: str | None = None


class AnswerRouter:
    """The answers of one device, each from the best placement that is open.

    `verifiers` holds what was learned of each verifying model, by its name.
    """

    def __init__(
        self,
        *,
        model: TextModel,
        thread: DraftingThread,
        link: Link | None,
        metrics: AgentMetrics,
    ) -> None:
        self.model = model
        self.thread = thread
        self.link = link
        self._metrics = metrics
        self.verifiers: dict[str, VerifierProfile] = defaultdict(VerifierProfile)

    def served(self) -> dict[str, str]:
        """The servers' models, each with its tier."""
        return {name: offer.tier for name, offer in self.link.models.items()} if self.link else {}

    def has_foreign_tokenizer(self, model: str) -> bool:
        """Whether a server serves this model, and with a tokenizer that is not the device's: nobody
        can draft for it."""
        offer = self.link.models.get(model) if self.link else None
        return offer is not None and offer.tokenizer not in ("", self.model.fingerprint)

    async def settle(self) -> None:
        """Wait for the link while it may be up again soon."""
        if self.link is not None:
            await self.link.settle()

    def offers(self, placement: str, model: str, privacy: Privacy) -> list[Offer]:
        """The offers of a gateway that is connected, for a request of this class: the best first.

        Raises RequestRefused where the servers that were asked for may not see it.
        """
        tiers = VERIFYING_TIERS[placement]
        if self.link is None:
            return []
        offers = [self.link.offers[tier] for tier in tiers if tier in self.link.offers]
        if model in self.link.models:
            offers = [self.link.models[model]]
        allowed = [offer for offer in offers if privacy in offer.privacy]
        if offers and not allowed and placement not in OPEN_PLACEMENTS:
            raise RequestRefused(
                PRIVACY_CLASS,
                f"{PRIVACY}: a request of the class {privacy} may not be seen by tier "
                f"{offers[0].tier}; ask {virtual_models.ON_DEVICE}, or {virtual_models.AUTO}",
            )
        return allowed

    def route(self, placement: str, model: str = "", privacy: Privacy = "public") -> AnswerRoute:
        """`model` is the name in the request; where a server serves it, only that one verifies.

        Raises RequestRefused for a tier whose tokenizer differs from the device's, or that may not
        see a request of this class.
        """
        tiers = VERIFYING_TIERS[placement]
        if not tiers:
            return AnswerRoute(ON_DEVICE)
        if self.link is None or not self.link.up:
            problem = self.link.problem if self.link else "the agent has no gateway"
            return AnswerRoute(ON_DEVICE, degraded=problem)
        offers = self.offers(placement, model, privacy)
        fingerprint = self.model.fingerprint
        for offer in offers:
            if offer.tokenizer in ("", fingerprint):
                return AnswerRoute(f"device-{offer.tier}", offer)
        if offers and placement != "auto":
            raise RequestRefused(
                "tokenizer_differs",
                f"model: the tokenizer of {offers[0].model} (fingerprint {offers[0].tokenizer}) "
                f"differs from this device's (fingerprint {fingerprint})",
            )
        if privacy != "public" and not offers:
            return AnswerRoute(ON_DEVICE)
        return AnswerRoute(
            ON_DEVICE,
            degraded=f"the gateway offers no {' or '.join(tiers)} tier with the device's tokenizer",
        )

    async def answer(
        self, request: GenerationRequest, route: AnswerRoute, report: AnswerReport
    ) -> AsyncGenerator[AnswerPiece]:
        """Raises RequestRefused before the first piece; DrafterFailed when nobody can continue."""
        report.placement, report.degraded = route.placement, route.degraded
        report.model = self.thread.drafter.name
        self._metrics.answer_started(route.placement)
        pieces = self._pieces(request, route, report)
        try:
            with self.thread.serving_user():
                async with aclosing(pieces):
                    async for piece in pieces:
                        yield piece
        except DrafterFailed as exc:
            report.degraded = report.degraded or str(exc)
            raise
        finally:
            self._metrics.answer_ended(report)
            log.info(
                "answer %s: by %s, %s, %d tokens verified and %d not",
                request.id or "without an id",
                report.model,
                report.placement if report.degraded is None else f"{report.placement}, degraded",
                report.verified_tokens,
                report.unverified_tokens,
            )

    async def _pieces(
        self, request: GenerationRequest, route: AnswerRoute, report: AnswerReport
    ) -> AsyncGenerator[AnswerPiece]:
        stream = self.thread.drafter.start()
        answer: list[int] = []
        try:
            verified = self._verified(request, route, report, stream, answer)
            async with aclosing(verified):
                async for piece in verified:
                    yield piece
            if route.offer is not None and report.degraded is None:
                return
            if self._is_complete(request, answer):
                return
            self._check_room(request)
            report.model = self.thread.drafter.name
            local = local_answer(request, report, self.thread, stream, self.model, beginning=answer)
            async with aclosing(local):
                async for piece in local:
                    yield piece
        finally:
            stream.close()

    async def _verified(
        self,
        request: GenerationRequest,
        route: AnswerRoute,
        report: AnswerReport,
        stream: DraftStream,
        answer: list[int],
    ) -> AsyncGenerator[AnswerPiece]:
        """The answer as far as servers verify it, over as many sessions as that takes. `answer`
        grows with it; `report.degraded` says why it ends before the answer does.

        Raises RequestRefused before the first piece.
        """
        offer, fruitless = route.offer, 0
        while offer is not None and self.link is not None:
            before = len(answer)
            session = self._session(request, offer, report, stream, answer)
            try:
                async with aclosing(session):
                    async for piece in session:
                        answer += piece.token_ids
                        yield piece
                report.degraded = None
                return
            except VerifierLost as lost:
                report.degraded = str(lost)
                fruitless = fruitless + 1 if len(answer) == before else 0
                again = lost.link and fruitless < MAX_FRUITLESS and self._may_go_on(request, answer)
                offer = await self._offer_again(offer, request.privacy) if again else None
            except RequestRefused as refused:
                if not answer:
                    raise
                report.degraded, offer = str(refused), None

    async def _offer_again(self, offer: Offer, privacy: Privacy) -> Offer | None:
        """The same model behind a connection that is new; None where none of that can be had."""
        assert self.link is not None
        again = await self.link.offer_again(offer.model)
        if again is None or again.tokenizer not in ("", self.model.fingerprint):
            return None
        if privacy not in again.privacy:
            return None
        self._metrics.answer_resumed()
        return again

    async def _session(
        self,
        request: GenerationRequest,
        offer: Offer,
        report: AnswerReport,
        stream: DraftStream,
        verified: Sequence[int],
    ) -> AsyncGenerator[AnswerPiece]:
        assert self.link is not None
        verifier = self.verifiers[offer.model]
        report.model = offer.model
        answer = VerifiedAnswer(
            link=self.link,
            verifier=verifier,
            thread=self.thread,
            stream=stream,
            request=request,
            report=report,
            end_tokens=self.model.end_tokens,
            verified=verified,
        )
        pieces = answer.pieces(offer, self.model.fingerprint)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            acceptance = verifier.acceptance
            self._metrics.verifier_measured(
                offer.model,
                acceptance=acceptance.overall.value,
                second=acceptance.second,
                step_s=verifier.step_s,
            )

    def _may_go_on(self, request: GenerationRequest, answer: list[int]) -> bool:
        """Whether another session can go on with the answer: it is no whole one, and fits into the
        frame that opens a session."""
        fits = len(request.prompt) + len(answer) <= MAX_PROMPT_TOKENS
        return fits and not self._is_complete(request, answer)

    def _check_room(self, request: GenerationRequest) -> None:
        context = self.thread.drafter.context
        if len(request.prompt) >= context:
            raise RequestRefused(
                "context_length_exceeded",
                f"the prompt has {len(request.prompt)} tokens; the device alone can answer at most "
                f"{context - 1}",
            )

    def _is_complete(self, request: GenerationRequest, answer: list[int]) -> bool:
        """Whether the verified part is the whole answer, though its end was not announced."""
        sampling = request.sampling
        if sampling.max_tokens is not None and len(answer) >= sampling.max_tokens:
            return True
        return bool(answer) and not sampling.ignore_eos and answer[-1] in self.model.end_tokens
