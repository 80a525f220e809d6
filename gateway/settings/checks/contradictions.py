"""Settings that are right each for itself and can't work together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.tier import Tier
from gateway.protocol.virtual_models import CASCADE, COLLECTIVE, OF_TIER, PREFIX
from gateway.settings.checks.addresses import server_names

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.settings.virtual_models.cascade import CascadeStage

COMPOSED = (CASCADE, COLLECTIVE)
ANY_ADDRESS = ("0.0.0.0", "::")


def contradictions(settings: Settings) -> Iterator[str]:
    """A sentence for each, which names the settings and what to change."""
    yield from _endpoints_twice(settings)
    yield from _mailboxes_twice(settings)
    yield from _same_port(settings)
    yield from _stages_upside_down(settings)
    yield from _chains(settings)
    yield from _pauses(settings)


def _chains(settings: Settings) -> Iterator[str]:
    chains = settings.chains
    for name, stages in chains.models.items():
        setting = f"chains.models.{name}"
        if name in (*VIRTUAL_MODELS, *COMPOSED):
            yield f"{setting}: {name} is a virtual model of its own; take another name"
        if repeated := next((each for each in stages if stages.count(each) > 1), None):
            yield f"{setting}: {repeated} stands there twice; a chain passes each stage once"
        ranks = [Tier(stage).rank for stage in stages if stage in OF_TIER]
        if ranks != sorted(ranks):
            yield f"{setting}: list the lowest tier first; the last stage is the one that answers"
        if virtual := next((each for each in stages if each.startswith(PREFIX)), None):
            yield (
                f"{setting}: {virtual} can't be a stage; name a tier, {' or '.join(OF_TIER)}, or a "
                "served model"
            )
    if chains.auto and chains.auto not in chains.models:
        yield (
            f"chains.auto: no chain is called {chains.auto!r}; known: "
            f"{', '.join(sorted(chains.models)) or 'none'}"
        )


def _endpoints_twice(settings: Settings) -> Iterator[str]:
    """The gateway tells endpoints apart by host, port and path."""
    owners: dict[str, str] = {}
    for name, pool in settings.pools.items():
        for url in pool.endpoints or ():
            names = server_names(url)
            if owner := next((owners[each] for each in names if each in owners), None):
                yield f"pools.{name}.endpoints: {url} stands in pools.{owner} already; list it once"
            owners |= dict.fromkeys(names, name)


def _mailboxes_twice(settings: Settings) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, pool in settings.pools.items():
        for address in pool.mailboxes:
            owner = owners.setdefault(address.lower(), name)
            if owner != name:
                yield (
                    f"pools.{name}.mailboxes: {address} stands in pools.{owner} already; each "
                    "endpoint has a mailbox of its own"
                )


def _same_port(settings: Settings) -> Iterator[str]:
    listen, operations = settings.listen, settings.operations
    if not listen.port or listen.port != operations.port:
        return
    if listen.host == operations.host or {listen.host, operations.host} & set(ANY_ADDRESS):
        yield (
            f"operations.port: {operations.port} is listen.port too; take another one, or leave it "
            "out to have the operators' routes at `listen`"
        )


def _stages_upside_down(settings: Settings) -> Iterator[str]:
    for (low, lower), (high, higher) in combinations(enumerate(settings.cascade.stages), 2):
        if lower.model is not None and lower.model == higher.model:
            yield (
                f"cascade.stages.{high}.model: {higher.model!r} is stage {low} already; a cascade "
                "asks each model once"
            )
        elif _is_above(settings, lower, higher):
            yield (
                f"cascade.stages: {lower.model!r} stands before {higher.model!r}; list the lowest "
                "tier first"
            )


def _is_above(settings: Settings, lower: CascadeStage, higher: CascadeStage) -> bool:
    """Whether a stage that comes first belongs above the other: by the tiers, or where these do not
    tell by the family, which is listed smallest first."""
    below, above = _tiers(settings, lower), _tiers(settings, higher)
    if below and above:
        if min(below) > max(above):
            return True
        if max(below) < min(above):
            return False
    family = settings.family
    return (
        lower.model in family
        and higher.model in family
        and family.index(lower.model) > family.index(higher.model)
    )


def _tiers(settings: Settings, stage: CascadeStage) -> list[int]:
    """The ranks of the tiers at which a stage is served, as far as the settings say it."""
    if stage.model is None:
        return [Tier.DEVICE.rank]
    of_tier = [Tier(tier) for tier, model in OF_TIER.items() if model == stage.model]
    pools = [pool.tier for pool in settings.pools.values() if stage.model in pool.models]
    return [tier.rank for tier in of_tier or pools]


def _pauses(settings: Settings) -> Iterator[str]:
    """Where both are given: the default of one says nothing against the other."""
    ejection = settings.ejection
    both = {"first_pause_s", "longest_pause_s"} <= ejection.model_fields_set
    if both and ejection.first_pause_s > ejection.longest_pause_s:
        yield (
            f"ejection.first_pause_s: {ejection.first_pause_s:g} is longer than "
            f"ejection.longest_pause_s, {ejection.longest_pause_s:g}; raise that one, or lower this"
        )
