"""Chooses who verifies an answer, and by which tiers in the middle, from what a gateway offers."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import virtual_models
from gateway.protocol.device_link.speculation import Offer, Privacy, Tier
from gateway.protocol.headers import PRIVACY
from services.device_agent.answers.problems import PRIVACY_CLASS, RequestRefused
from services.device_agent.link.link import Link

ON_DEVICE, DEVICE_EDGE, DEVICE_CLOUD = "on-device", "device-edge", "device-cloud"
DEVICE_EDGE_CLOUD = "device-edge-cloud"
AUTO = "auto"
GATEWAY = "gateway"
"""The placement of an answer that the gateway alone gives; without it, the device does."""
VERIFYING_TIERS: dict[str, tuple[Tier, ...]] = {
    ON_DEVICE: (),
    DEVICE_EDGE: ("edge",),
    DEVICE_CLOUD: ("cloud",),
    DEVICE_EDGE_CLOUD: ("cloud",),
    AUTO: ("cloud", "edge"),
    GATEWAY: ("cloud", "edge"),
}
"""By placement, the tiers that may verify: the first of them that the gateway offers."""
MIDDLE_TIERS: dict[str, tuple[Tier, ...]] = {DEVICE_EDGE_CLOUD: ("edge",)}
"""By placement, the tiers that draft between device and verifier. `auto` asks none: only who knows
that the round trips are long can tell before the first answers that they help."""
OPEN_PLACEMENTS = frozenset({AUTO, GATEWAY})
"""Whoever may see the request answers it."""


@dataclass(frozen=True, kw_only=True)
class AnswerRoute:
    """The choice of who gives an answer: the verifier of `offer`, or (None) the device alone.

    `degraded` says why the answer comes another way than was asked for. `through` are the tiers in
    the middle, the nearest first.
    """

    placement: str
    offer: Offer | None = None
    degraded: str | None = None
    through: tuple[Tier, ...] = ()


def open_offers(link: Link | None, placement: str, model: str, privacy: Privacy) -> list[Offer]:
    """The offers of a gateway that is connected, for a request of this class: the best first.

    Raises RequestRefused where the servers that were asked for may not see it.
    """
    if link is None:
        return []
    tiers = VERIFYING_TIERS[placement]
    offers = [link.offers[tier] for tier in tiers if tier in link.offers]
    if model in link.models:
        offers = [link.models[model]]
    allowed = [offer for offer in offers if privacy in offer.privacy]
    if offers and not allowed and placement not in OPEN_PLACEMENTS:
        raise RequestRefused(
            PRIVACY_CLASS,
            f"{PRIVACY}: a request of the class {privacy} may not be seen by tier "
            f"{offers[0].tier}; ask {virtual_models.ON_DEVICE}, or {virtual_models.AUTO}",
        )
    return allowed


def choose_route(
    link: Link | None, fingerprint: str, placement: str, model: str, privacy: Privacy
) -> AnswerRoute:
    """`model` is the name in the request; where a server serves it, only that one verifies.
    `fingerprint` is that of the device's tokenizer.

    Raises RequestRefused for a tier whose tokenizer differs from the device's, or that may not
    see a request of this class.
    """
    tiers = VERIFYING_TIERS[placement]
    if not tiers:
        return AnswerRoute(placement=ON_DEVICE)
    if link is None or not link.up:
        problem = link.problem if link else "the agent has no gateway"
        return AnswerRoute(placement=ON_DEVICE, degraded=problem)
    offers = open_offers(link, placement, model, privacy)
    for offer in offers:
        if offer.tokenizer in ("", fingerprint):
            return _chain(link, placement, offer, privacy)
    if offers and placement != AUTO:
        raise RequestRefused(
            "tokenizer_differs",
            f"model: the tokenizer of {offers[0].model} (fingerprint {offers[0].tokenizer}) "
            f"differs from this device's (fingerprint {fingerprint})",
        )
    if privacy != "public" and not offers:
        return AnswerRoute(placement=ON_DEVICE)
    return AnswerRoute(
        placement=ON_DEVICE,
        degraded=f"the gateway offers no {' or '.join(tiers)} tier with the device's tokenizer",
    )


def _chain(link: Link, placement: str, offer: Offer, privacy: Privacy) -> AnswerRoute:
    """The route to `offer` through the tiers in the middle that this placement has and that may
    see the request."""
    wanted = MIDDLE_TIERS.get(placement, ())
    middle = [link.offers[tier] for tier in wanted if tier in link.offers]
    seen = all(privacy in each.privacy for each in middle)
    through = wanted if wanted == offer.through and seen else ()
    return AnswerRoute(
        placement="-".join(("device", *through, offer.tier)),
        offer=offer,
        degraded=None if through == wanted else _no_chain(wanted, seen),
        through=through,
    )


def _no_chain(wanted: tuple[Tier, ...], seen: bool) -> str:
    names = " and ".join(wanted)
    if not seen:
        return f"a request of this class may not be seen by tier {names}, which is left out"
    return f"the gateway offers no way through tier {names} now, which is left out"
