"""A routing profile: filters, then weighted scorers, then a picker. Profiles are data (YAML)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.routing.context import has_room
from gateway.core.routing.filters import FILTERS, Filter
from gateway.core.routing.pickers import PICKERS, Picker
from gateway.core.routing.scorers import SCORERS, Scorer
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import ConfigError
from gateway.protocol.nearest import nearest

T = TypeVar("T")
KEYS = ("filters", "scorers", "picker")
ROOM = "room_for_context"
"""A filter that prefers endpoints, where the others leave them out."""
MAX_WEIGHT = 1_000_000


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

    Raises ConfigError for a name that is not registered, with the nearest one or those that are,
    and for one that stands twice.
    """
    where = f"profiles.{name}"
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{where}: expected filters, scorers and picker, got {spec!r:.80}")
    for key in spec:
        if key not in KEYS:
            raise ConfigError(f"{where}: unknown key {key!r}{_hint(str(key), KEYS)}")
    filters = [str(item) for item in _entries(f"{where}.filters", spec.get("filters", ()))]
    scorers = [
        _weighted(where, item) for item in _entries(f"{where}.scorers", spec.get("scorers", ()))
    ]
    for key, names in (("filters", filters), ("scorers", [item for item, _ in scorers])):
        if twice := {item for item in names if names.count(item) > 1}:
            raise ConfigError(f"{where}.{key}: {min(twice)!r} stands there twice; list it once")
    return Profile(
        name=name,
        filters=tuple(
            _find(f"{where}.filters", FILTERS, item, ROOM) for item in filters if item != ROOM
        ),
        scorers=tuple(
            (_find(f"{where}.scorers", SCORERS, item), weight) for item, weight in scorers
        ),
        picker=_find(f"{where}.picker", PICKERS, str(spec.get("picker", "max_score"))),
        prefer_room=ROOM in filters,
    )


def _entries(where: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(
            f"{where}: expected a list of names, such as [healthy], got {value!r:.80}"
        )
    return value


def _weighted(where: str, item: Any) -> tuple[str, float]:
    if isinstance(item, str):
        return item, 1.0
    if isinstance(item, Mapping) and set(item) <= {"name", "weight"} and "name" in item:
        weight = item.get("weight", 1.0)
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            if 0 <= weight <= MAX_WEIGHT:
                return str(item["name"]), float(weight)
    raise ConfigError(
        f"{where}.scorers: expected {{name: …, weight: a number from 0 to {MAX_WEIGHT:,}}}, "
        f"got {item!r:.80}"
    )


def _find(where: str, registry: Mapping[str, T], name: str, *others: str) -> T:
    """`others`: names that are right beside those of the registry."""
    try:
        return registry[name]
    except KeyError:
        hint = _hint(name, (*registry, *others))
        raise ConfigError(f"{where}: unknown name {name!r}{hint}") from None


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if meant := nearest(name, names):
        return f"; did you mean {meant}?"
    return f"; known: {', '.join(names)}"
