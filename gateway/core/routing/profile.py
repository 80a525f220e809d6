"""A routing profile: filters, then weighted scorers, then a picker. Profiles are data (YAML)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.routing.context import has_room
from gateway.core.routing.filters import FILTERS, Filter
from gateway.core.routing.pickers import PICKERS, Picker
from gateway.core.routing.scorers import SCORERS, Scorer
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A routing profile: filters, weighted scorers and a picker, which choose an endpoint of a
    pool."""

    name: str
    filters: tuple[Filter, ...]
    scorers: tuple[tuple[Scorer, float], ...]
    picker: Picker
    prefer_room: bool = True

    def eligible(
        self,
        request: InferenceRequest,
        model: str,
        states: Sequence[EndpointState],
        now: float,
        *,
        ejected_too: bool = False,
    ) -> list[EndpointState]:
        """The endpoints that every filter keeps and that are not ejected, unless `ejected_too`;
        those with room for the context, if any has."""
        passing = [
            s
            for s in states
            if (s.health.spotless or ejected_too or s.health.admits(now))
            and all(keep(request, model, s, now) for keep in self.filters)
        ]
        if self.prefer_room and len(passing) > 1:
            roomy = [s for s in passing if has_room(request, model, s, now)]
            return roomy or passing
        return passing

    def pick(
        self,
        request: InferenceRequest,
        eligible: Sequence[EndpointState],
        now: float,
        uniform: Callable[[], float],
    ) -> EndpointState:
        """One of `eligible` (not empty). One that is to be tried after an ejection comes first, as
        nothing else would show that it is well again; one that has just returned stands for
        election for its share of the requests only."""
        if len(eligible) == 1:
            return eligible[0]
        if not all(state.health.spotless for state in eligible):
            for state in eligible:
                if state.health.ejected and state.health.admits(now):
                    return state
            eligible = [s for s in eligible if _stands(s, now, uniform)] or eligible
        totals = [0.0] * len(eligible)
        for scorer, weight in self.scorers:
            for index, score in enumerate(scorer(request, eligible, now)):
                totals[index] += weight * score
        return eligible[self.picker(totals, uniform)]


def _stands(state: EndpointState, now: float, uniform: Callable[[], float]) -> bool:
    share = state.health.share(now)
    return share >= 1.0 or uniform() < share


def build_profile(name: str, spec: Mapping[str, Any]) -> Profile:
    """Build from `{filters: [name], scorers: [{name, weight}], picker: name}`.

    Raises ConfigError for a name that is not registered, listing those that are.
    """
    where = f"profiles.{name}"
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{where}: expected filters, scorers and picker, got {spec!r}")
    if unknown := set(spec) - {"filters", "scorers", "picker"}:
        raise ConfigError(f"{where}: unknown key {min(unknown)!r}; keys: filters, scorers, picker")
    names = [str(item) for item in spec.get("filters", ())]
    scorers = [_weighted(where, item) for item in spec.get("scorers", ())]
    return Profile(
        name=name,
        filters=tuple(
            _find(f"{where}.filters", FILTERS, item) for item in names if item != "room_for_context"
        ),
        scorers=tuple(
            (_find(f"{where}.scorers", SCORERS, item), weight) for item, weight in scorers
        ),
        picker=_find(f"{where}.picker", PICKERS, str(spec.get("picker", "max_score"))),
        prefer_room="room_for_context" in names,
    )


def _weighted(where: str, item: Any) -> tuple[str, float]:
    if isinstance(item, str):
        return item, 1.0
    if isinstance(item, Mapping) and set(item) <= {"name", "weight"} and "name" in item:
        weight = item.get("weight", 1.0)
        if isinstance(weight, int | float) and not isinstance(weight, bool) and weight >= 0:
            return str(item["name"]), float(weight)
    raise ConfigError(f"{where}.scorers: expected {{name: …, weight: a number >= 0}}, got {item!r}")


def _find(where: str, registry: Mapping[str, T], name: str) -> T:
    try:
        return registry[name]
    except KeyError:
        known = ", ".join(sorted(registry))
        raise ConfigError(f"{where}: unknown name {name!r}; known: {known}") from None
