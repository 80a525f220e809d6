"""Which predictor holds for a pair of models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.core.cascade.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Predictors:
    """The predictors that a gateway knows. `given` holds for any pair; without it the one of
    `shipped` that was fitted to the pair, and `cautious`, which knows every method, for all
    other models."""

    cautious: Predictor
    shipped: Sequence[Predictor] = ()
    given: Predictor | None = None

    def of(self, lower: str, upper: str, method: str) -> Predictor:
        """By the models' names, "" for one that is not known; for `method` if it can be."""
        if self.given is not None:
            return self.given
        for each in self.shipped:
            if each.pair == (lower, upper) and each.model(method) is not None:
                return each
        return self.cautious

    def absent_models(self, served: Collection[str], *, devices: bool) -> list[str]:
        """The models that the given predictor was fitted to and that are not among `served`.

        `devices`: the lower one may be a device's, which nobody lists here.
        """
        if self.given is None:
            return []
        lower, upper = self.given.pair
        return [
            name for name in (upper, *(() if devices else (lower,))) if name not in {"", *served}
        ]
