"""Chooses who gives an answer, and continues it where the verifier is lost: in a new session where
a gateway can be reached, else on the device."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.protocol.device_link.speculation import MAX_PROMPT_TOKENS, Offer, Privacy, Tier
from services.device_agent.answers.answer import AnswerPiece, AnswerReport, GenerationRequest
from services.device_agent.answers.answer_route import AnswerRoute, choose_route, open_offers
from services.device_agent.answers.drafted_hop import DraftedHop
from services.device_agent.answers.local_answer import local_answer
from services.device_agent.answers.problems import RequestRefused, VerifierLost
from services.device_agent.answers.verified_answer import VerifiedAnswer
from services.device_agent.answers.verifier_profile import VerifierProfile
from services.device_agent.drafters.port import DrafterFailed, DraftStream
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.link import Link
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextModel

log = logging.getLogger("tierflow.device")

MAX_FRUITLESS = 3
"""Sessions in a row that bring no further token, before an answer goes on alone."""


class AnswerRouter:
    """The answers of one device, each from the best placement that is open.

    `verifiers` holds what was learned of each model that judges drafts, by its name.
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
        return open_offers(self.link, placement, model, privacy)

    def route(self, placement: str, model: str = "", privacy: Privacy = "public") -> AnswerRoute:
        """`model` is the name in the request; where a server serves it, only that one verifies.

        Raises RequestRefused for a tier whose tokenizer differs from the device's, or that may not
        see a request of this class.
        """
        return choose_route(self.link, self.model.fingerprint, placement, model, privacy)

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
            if route.offer is not None and report.degraded == route.degraded:
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
        grows with it; where it ends before the answer does, `report.degraded` says why, else what
        the route says.

        Raises RequestRefused before the first piece.
        """
        offer, through, fruitless = route.offer, route.through, 0
        while offer is not None and self.link is not None:
            before = len(answer)
            session = self._session(request, offer, through, report, stream, answer)
            try:
                async with aclosing(session):
                    async for piece in session:
                        answer += piece.token_ids
                        yield piece
                report.degraded = route.degraded
                return
            except VerifierLost as lost:
                report.degraded = str(lost)
                fruitless = fruitless + 1 if len(answer) == before else 0
                again = lost.link and fruitless < MAX_FRUITLESS and self._may_go_on(request, answer)
                offer = await self._offer_again(offer, request.privacy) if again else None
                through = through if offer is not None and offer.through == through else ()
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
        through: tuple[Tier, ...],
        report: AnswerReport,
        stream: DraftStream,
        verified: Sequence[int],
    ) -> AsyncGenerator[AnswerPiece]:
        assert self.link is not None
        judges = [(offer.model, offer), *(self._middle(tier, offer) for tier in through[:1])]
        for model, known in judges:
            self.verifiers[model].behind_gateway_s = known.round_trip_s if known else 0.0
        report.model = offer.model
        answer = VerifiedAnswer(
            link=self.link,
            hop=DraftedHop(*(self.verifiers[model] for model, _ in judges)),
            thread=self.thread,
            stream=stream,
            request=request,
            report=report,
            end_tokens=self.model.end_tokens,
            verified=verified,
            through=through,
        )
        pieces = answer.pieces(offer, self.model.fingerprint)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            for model, _ in judges:
                learned = self.verifiers[model]
                self._metrics.verifier_measured(
                    model,
                    acceptance=learned.acceptance.overall.value,
                    second=learned.acceptance.second,
                    step_s=learned.step_s,
                )

    def _middle(self, tier: Tier, offer: Offer) -> tuple[str, Offer | None]:
        """The name under which is kept what is learned of a tier in the middle, and its own offer:
        the name is its model's, as it judges the same drafts where it verifies itself."""
        own = self.link.offers.get(tier) if self.link else None
        return (own.model if own is not None else f"{tier} before {offer.model}"), own

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
