"""Chooses the way of an answer, and keeps it going when that way is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from gateway.protocol.speculation import Offer, Tier
from services.device_agent.alone import answer_alone
from services.device_agent.answer import Ask, Piece, Report
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import Link
from services.device_agent.metrics import Metrics
from services.device_agent.partner import Partner
from services.device_agent.text import TextModel
from services.device_agent.together import Collaboration, Refused, VerifierLost

ON_DEVICE, DEVICE_EDGE, DEVICE_CLOUD = "on-device", "device-edge", "device-cloud"
WAYS: dict[str, tuple[Tier, ...]] = {
    ON_DEVICE: (),
    DEVICE_EDGE: ("edge",),
    DEVICE_CLOUD: ("cloud",),
    "auto": ("cloud", "edge"),
}
"""Tiers that verify, the first that is there. A chain of tiers will be one more entry."""


@dataclass(frozen=True)
class Route:
    """`offer` None: the device answers alone; `degraded` says why, where that was not wished."""

    way: str
    offer: Offer | None = None
    degraded: str | None = None


class Answering:
    def __init__(
        self, model: TextModel, thread: DraftingThread, link: Link | None, metrics: Metrics
    ) -> None:
        self.model = model
        self.thread = thread
        self.link = link
        self._metrics = metrics
        self.partners: dict[str, Partner] = defaultdict(Partner)

    def route(self, way: str, model: str = "") -> Route:
        """`model` is the name that was asked for; a server model's is kept to.

        Raises Refused for a tier whose tokenizer is another one.
        """
        tiers = WAYS[way]
        if not tiers:
            return Route(ON_DEVICE)
        if self.link is None or not self.link.up:
            problem = self.link.problem if self.link else "no gateway was named at the start"
            return Route(ON_DEVICE, degraded=problem)
        offers = [self.link.offers[tier] for tier in tiers if tier in self.link.offers]
        if model in self.link.models:
            offers = [self.link.models[model]]
        fitting = [each for each in offers if each.tokenizer in ("", self.model.fingerprint)]
        if fitting:
            return Route(f"device-{fitting[0].tier}", fitting[0])
        if offers and way != "auto":
            raise Refused(
                "tokenizer_differs",
                f"model: the tokenizer of {offers[0].model} (fingerprint {offers[0].tokenizer}) "
                f"differs from this device's (fingerprint {self.model.fingerprint})",
            )
        return Route(ON_DEVICE, degraded=f"the gateway has no {' or '.join(tiers)} tier for us")

    async def answer(self, ask: Ask, route: Route, report: Report) -> AsyncGenerator[Piece]:
        """Raises Refused before the first piece, DrafterFailed when nobody can go on."""
        pieces = self._answer(ask, route, report)
        with self.thread.answering():
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def _answer(self, ask: Ask, route: Route, report: Report) -> AsyncGenerator[Piece]:
        report.way, report.degraded = route.way, route.degraded
        stream = self.thread.drafter.start()
        begun: list[int] = []
        self._metrics.begun(route.way)
        try:
            if route.offer is not None and self.link is not None:
                partner = self.partners[route.offer.model]
                ends = self.model.end_tokens
                session = Collaboration(self.link, partner, self.thread, stream, ask, report, ends)
                try:
                    pieces = session.pieces(route.offer, self.model.fingerprint)
                    async with aclosing(pieces):
                        async for piece in pieces:
                            begun += piece.ids
                            yield piece
                    return
                except VerifierLost as exc:
                    report.degraded = str(exc)
                    if self._complete(ask, begun):
                        return
                finally:
                    learned = partner.acceptance
                    overall, second = learned.overall.value, learned.second
                    self._metrics.learned(route.offer.model, overall, second, partner.step_s)
            self._check_room(ask)
            alone = answer_alone(ask, report, self.thread, stream, self.model, begun)
            async for piece in alone:
                yield piece
        except DrafterFailed as exc:
            report.degraded = report.degraded or str(exc)
            raise
        finally:
            stream.close()
            self._metrics.ended(report)

    def _check_room(self, ask: Ask) -> None:
        context = self.thread.drafter.context
        if len(ask.prompt) >= context:
            raise Refused(
                "context_length_exceeded",
                f"the prompt has {len(ask.prompt)} tokens, more than the {context - 1} that this "
                "device can answer alone",
            )

    def _complete(self, ask: Ask, begun: list[int]) -> bool:
        """Whether the verified part is the whole answer, though its end was not announced."""
        if ask.max_tokens is not None and len(begun) >= ask.max_tokens:
            return True
        return bool(begun) and not ask.ignore_eos and begun[-1] in self.model.end_tokens
