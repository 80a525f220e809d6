"""What an answer costs: tokens, weighed by the size of the model that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from loadtest.measure.chat import Reply
from loadtest.measure.family import parameters


class Cost:
    """The cost of a reply in tokens of the cloud's model; a token of another model counts as its
    share of the cloud model's parameters.

    Prompts are not counted; the engines of the family read them in one step. A member's token that
    a server model weighs counts as one that it made, and so does one that the cloud verified.
    """

    def __init__(self, family: Mapping[str, Path], devices: Mapping[str, Path]) -> None:
        """Raises BenchmarkFailure when a model's size can't be read."""
        cloud = parameters(family["cloud"])
        self._tiers = {tier: parameters(folder) / cloud for tier, folder in family.items()}
        self._devices = {name: parameters(folder) / cloud for name, folder in devices.items()}

    def __call__(self, reply: Reply) -> float:
        if (report := reply.tierflow.get("collective")) is not None:
            return self._of_devices(reply.members) + self._of_aggregator(reply, report)
        if (report := reply.tierflow.get("cascade")) is not None:
            return self._of_tiers(report["stages"])
        return reply.tokens * self._tiers.get(reply.tier, 0.0)

    def sampling(self, proposer: str, samples: int) -> Cost:
        """The cost where one device is asked several times, and each sample is a member."""
        other = copy(self)
        names = (f"sample-{n}" for n in range(1, samples + 1))
        other._devices = self._devices | dict.fromkeys(names, self._devices[proposer])
        return other

    def _of_devices(self, members: Sequence[Mapping[str, Any]]) -> float:
        return sum(float(m["tokens"]) * self._devices[m["device"]] for m in members)

    def _of_aggregator(self, reply: Reply, report: Mapping[str, Any]) -> float:
        """Of the tokens in the reply's sum that no member made."""
        if not (aggregator := report.get("aggregator")):
            return 0.0
        tokens = reply.tokens - sum(int(member["tokens"]) for member in reply.members)
        if report["decided_by"] == "best-of-n" and reply.members:
            # Equal answers are weighed once: one call for each that is different.
            share = min(1.0, aggregator["calls"] / len(reply.members))
            tokens += round(share * sum(int(member["tokens"]) for member in reply.members))
        return tokens * self._tiers[aggregator["tier"]]

    def _of_tiers(self, calls: Sequence[Mapping[str, Any]]) -> float:
        return sum(float(call["tokens"]) * self._tiers[call["tier"]] for call in calls)
