"""Privacy classes of requests: who may see a question and its answer, and whether they are kept.

A device registers with a class, which says whose questions it answers; a request's class says
whose eyes it may meet. `public`: any tier, and any device that answers the caller. `owner`: the
tiers that the operator allows, and devices of the caller's own owner. `private`: nobody but the
device where it was asked, unless the operator allows tiers for it. Nothing of the last two is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.core.tier import Tier
from gateway.errors import Denied
from gateway.protocol.headers import PRIVACY

Privacy = Literal["public", "owner", "private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyTerms:
    """What a request's class means. `tiers`: those that may see it; None: all. `keeps`: whether its
    content may be kept beyond the answer, in memory or in the store."""

    name: Privacy
    tiers: frozenset[Tier] | None
    keeps: bool

    def allows(self, tier: Tier) -> bool:
        return self.tiers is None or tier in self.tiers


PUBLIC = PrivacyTerms(name="public", tiers=None, keeps=True)


@dataclass(frozen=True, slots=True)
class PrivacyRule:
    """What each class means at this gateway."""

    classes: Mapping[Privacy, PrivacyTerms]

    @classmethod
    def of(cls, *, owner_tiers: Iterable[Tier], private_tiers: Iterable[Tier]) -> PrivacyRule:
        owner = PrivacyTerms(name="owner", tiers=frozenset(owner_tiers), keeps=False)
        private = PrivacyTerms(name="private", tiers=frozenset(private_tiers), keeps=False)
        return cls({"public": PUBLIC, "owner": owner, "private": private})


def nobody_may_see(terms: PrivacyTerms, model: str) -> Denied:
    """No tier that may see this request has what would answer it."""
    allowed = ", ".join(tier for tier in Tier if terms.allows(tier)) or "no tier"
    return Denied(
        f"a request of the class {terms.name} may be seen by {allowed} of this gateway, and "
        f"{model} would be answered elsewhere; ask another model, or a device's own",
        param=PRIVACY,
        code="privacy_class",
    )
