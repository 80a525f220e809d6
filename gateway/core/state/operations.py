"""What can be done to shared state, each operation atomic; a store runs any number at once.

Keys are (kind, name); a store maps them to its own. Times are seconds; a `ttl_s` counts from now on
the store's own clock, and everything that is stored has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The taking or renewal of a lease, with a value that others may read. Gives True, or False
    while another holder has it."""

    kind: str
    name: str
    holder: str
    value: bytes
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """The end of a lease, by its holder. Gives False where somebody else holds it by now."""

    kind: str
    name: str
    holder: str


@dataclass(frozen=True, slots=True)
class Held:
    """A reading of all leases of a kind that have not expired. Gives a mapping from name to
    value."""

    kind: str


@dataclass(frozen=True, slots=True)
class Read:
    """A reading of a stored value. Gives (round, value), or (0, None) where nothing is stored."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """A compare-and-set: it stores `value` as round `expected` + 1 if the round is `expected` (0:
    nothing is stored yet). Gives True when it was."""

    kind: str
    name: str
    expected: int
    value: bytes
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Forget:
    """The removal of what `Advance` stored. Gives True when there was something."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """A withdrawal of `amount` from a token bucket of `burst`, refilled with `per_s` a second.
    Gives 0.0 when it was taken, else the seconds after which it could be."""

    kind: str
    name: str
    amount: float
    burst: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A withdrawal of `drawn` from such a bucket, whatever is in it; below 0 something is given
    back. Gives the level after it, which is below 0 for a debt."""

    kind: str
    name: str
    drawn: float
    burst: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """An observation of `value` with `weight`, added to a mean in which the past counts half after
    `half_life_s`. Gives the new `Mean`."""

    kind: str
    name: str
    value: float
    weight: float
    half_life_s: float


@dataclass(frozen=True, slots=True)
class Means:
    """A reading of means. Gives a list of `Mean`, one for each name; weight 0 where nothing is
    known."""

    kind: str
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Mean:
    """A decaying mean. `weight` is the sum of the observations' weights, decayed to now."""

    value: float = 0.0
    weight: float = 0.0


class ClaimState(StrEnum):
    """The state in which a claim found its idempotency key."""

    NEW = "new"
    TAKEN_OVER = "taken-over"
    RUNNING = "running"
    DONE = "done"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim to an idempotency key, for a request whose body has `digest`. Gives a `ClaimResult`.

    RUNNING while another holder works on it and its lease (`lease_s`, renewed by claiming again)
    has not expired, TAKEN_OVER when it has, DONE with the stored answer, MISMATCH for another body.
    """

    name: str
    digest: str
    holder: str
    lease_s: float
    ttl_s: float


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The result of a claim; `answer` where it is DONE."""

    state: ClaimState
    answer: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The end of a claim: it stores the answer under the key, or gives the claim up (None). Gives
    True if the claim was the holder's."""

    name: str
    holder: str
    answer: bytes | None
    ttl_s: float


Operation = (
    Hold
    | Release
    | Held
    | Read
    | Advance
    | Forget
    | Spend
    | Draw
    | Observe
    | Means
    | Claim
    | Complete
)
