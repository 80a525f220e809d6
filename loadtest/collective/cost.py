"""What an answer costs: tokens, weighed by the size of the model that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadtest.bench.weights import parameters
from loadtest.collective.asking import Reply


class Cost:
    """In tokens of the cloud's model: a token of another one counts as its share of parameters.

    Prompts are not counted; the engines of the family read them in one step. A token that the
    cloud verified counts as one that it made.
    """

    def __init__(self, family: Mapping[str, Path], devices: Mapping[str, Path]) -> None:
        """Raises BenchmarkFailure when a model's size can't be read."""
        cloud = parameters(family["cloud"])
        self._tiers = {tier: parameters(folder) / cloud for tier, folder in family.items()}
        self._devices = {name: parameters(folder) / cloud for name, folder in devices.items()}

    def __call__(self, reply: Reply) -> float:
        about = reply.about.get("collective")
        if about is not None:
            servers = self._of_tiers(about.get("servers") or ())
            return servers + sum(
                member["tokens"] * self._devices[member["device"].rpartition("-")[0] or member["device"]]
                for member in reply.members
                if member["device"] in self._devices
            )
        if stages := (reply.about.get("cascade") or {}).get("stages"):
            return self._of_tiers(stages)
        return reply.tokens * self._tiers[reply.tier]

    def _of_tiers(self, calls: list[Mapping[str, object]]) -> float:
        return sum(int(str(call["tokens"])) * self._tiers[str(call["tier"])] for call in calls)
