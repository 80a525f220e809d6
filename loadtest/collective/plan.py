"""The methods that are compared: what is asked, of whom, how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.protocol import virtual_models
from loadtest.measure.chat import chat_body

SPECIALISTS = ("mathematics", "code", "lists", "reading")
GENERALIST = "generalist"
EVERYBODY = (GENERALIST, *SPECIALISTS)
MAX_TOKENS = 96
COLLECTIVE_TASKS = frozenset({"judge", "revise"})
"""Tasks whose questions quote others' answers: members work on them, and no user asks them."""
KEYS = (
    "best_member", "self_moa", "collective_5", "edge", "cloud", "ttft_ratio",
    "accuracy_drop_with_failures", "cascade_cloud_token_saving", "cascade_accuracy_ratio",
)  # fmt: skip
"""The keys of the final line, in this order. Accuracies and the drop are in points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectivePlan:
    """The plan of the benchmark: how many questions are asked.

    `per_task`: of every task. `streams`: further ones of every task, for each method and pace of
    the TTFT part. `failing`: while devices fail. `cascade`: of the cascade, to whose questions its
    shipped predictor was not fitted.
    """

    per_task: int
    streams: int
    failing: int
    cascade: int


FULL = CollectivePlan(per_task=10, streams=2, failing=220, cascade=540)
QUICK = CollectivePlan(per_task=2, streams=1, failing=44, cascade=66)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to have a question answered: the model, and the body's `tierflow` field."""

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def body(self, question: str, *, stream: bool = False) -> dict[str, Any]:
        """The chat request that asks the question."""
        fields = {"tierflow": self.options} if self.options else {}
        return chat_body(self.model, question, max_tokens=MAX_TOKENS, stream=stream, **fields)


def collective(name: str, members: Sequence[str] | str, **options: Any) -> Method:
    """A collective that waits for everybody's answer, so that what differs is who takes part."""
    named = not isinstance(members, str)
    chosen: dict[str, Any] = {
        "members": list(members) if named else members,
        "max_members": len(EVERYBODY),
        "rounds": 0,
        **options,
    }
    chosen.setdefault("quorum", len(members) if named else chosen["max_members"])
    return Method(name, virtual_models.COLLECTIVE, {"collective": chosen})


def alone(member: str) -> Method:
    """A device's own answer: a collective of one, with nobody to aggregate."""
    return collective(f"{member} alone", [member], aggregate="majority")


def of(count: int) -> str:
    return f"collective of {count}"


def without(member: str) -> str:
    return f"without {member}"


SELF_MOA, MAJORITY, WEIGHTED, BEST, READ, REVISED = (
    "self-moa", "majority vote", "weighted vote", "best by likelihood", "read by the edge's model",
    "collective of 5, revised",
)  # fmt: skip
EDGE, CLOUD, SELECTED = "edge", "cloud", "3 selected of 5"
SERVERS = (Method(EDGE, virtual_models.EDGE), Method(CLOUD, virtual_models.CLOUD))


def methods() -> list[Method]:
    """All but self-moa, whose proposer is known only when the devices alone have answered."""
    return [
        *(alone(member) for member in EVERYBODY),
        collective(MAJORITY, EVERYBODY, aggregate="majority"),
        collective(WEIGHTED, EVERYBODY, aggregate="weighted"),
        collective(BEST, EVERYBODY, aggregate="best-of-n"),
        collective(READ, EVERYBODY, aggregate="template"),
        *(collective(of(n), EVERYBODY[:n]) for n in range(1, len(EVERYBODY) + 1)),
        collective(REVISED, EVERYBODY, rounds=1),
        collective(SELECTED, "auto", max_members=3),
        *(
            collective(without(member), [other for other in EVERYBODY if other != member])
            for member in EVERYBODY
        ),
        *SERVERS,
    ]


def self_moa(proposer: str) -> Method:
    """The best device, sampled as often as there are members: Self-MoA's recipe (Li et al. 2025,
    arXiv 2502.00674, section 2), at the tokens of the collective of 5."""
    sampled = {"device": proposer, "samples": len(EVERYBODY)}
    options = {"mode": "self-moa", "self_moa": sampled, "rounds": 0}
    return Method(SELF_MOA, virtual_models.COLLECTIVE, {"collective": options})
