"""Names in the settings that name nothing: a model, device, domain or profile that is misspelt.

What engines serve is known only once they were seen, so that a name which is none of the settings'
own may be right. It counts as wrong where it is one of those with a letter wrong, or where nobody
could serve it: the operator whose engines do serve it lists it under the pool's `models`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.core.routing.profile import build_profile
from gateway.core.types import Probe
from gateway.errors import ConfigError
from gateway.protocol import virtual_models
from gateway.protocol.nearest import misspelt, nearest
from gateway.settings.shipped import shipped_templates

if TYPE_CHECKING:
    from gateway.settings import Settings

ASKABLE = (*VIRTUAL_MODELS, virtual_models.CASCADE, virtual_models.COLLECTIVE)
"""The virtual models that a caller may ask the gateway for."""


def wrong_names(settings: Settings) -> Iterator[str]:
    """A sentence for each such setting, with the nearest right name."""
    yield from _wrong_models(settings)
    yield from _wrong_family(settings)
    yield from _wrong_devices(settings)
    yield from _wrong_domains(settings)
    yield from _wrong_templates(settings)
    yield from _wrong_profiles(settings)


def served_references(settings: Settings) -> Iterator[tuple[str, str]]:
    """The settings that name a model which answers, by their place, and the name."""
    for place, stage in enumerate(settings.cascade.stages):
        if stage.model is not None:
            yield f"cascade.stages.{place}.model", stage.model
    yield "collective.aggregator", settings.collective.aggregator
    for chain, stages in settings.chains.models.items():
        for place, name in enumerate(stages):
            if name not in virtual_models.OF_TIER:
                yield f"chains.models.{chain}.{place}", name
    if settings.collective.embedding.source == "pool":
        yield "collective.embedding.model", settings.collective.embedding.model


def unserved_models(settings: Settings, served: Collection[str]) -> list[str]:
    """What the settings name and no engine serves, in words, where engines serve `served`. A
    family's models that no engine serves may be those of devices, unless they are misspelt."""
    problems = [
        f"{setting}: no engine serves {name!r}{did_you_mean(name, served)}"
        for setting, name in served_references(settings)
        if name not in served and name not in VIRTUAL_MODELS
    ]
    strangers = set(served) - set(settings.family)
    for name in settings.family:
        if name not in served and (meant := misspelt(name, strangers)):
            problems.append(f"family: no engine serves {name!r}; did you mean {meant}?")
    return problems


def listed_models(settings: Settings) -> set[str]:
    """The models that the settings say engines serve, whether they are up or not."""
    return {name for pool in settings.pools.values() for name in pool.models}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?`, or nothing where no known name is like it."""
    meant = nearest(name, known)
    return f"; did you mean {meant}?" if meant else ""


def _wrong_models(settings: Settings) -> Iterator[str]:
    own = {*settings.family, *listed_models(settings)}
    # Engines that are not asked for their models serve those that are listed, and no others.
    closed = settings.discovery is None and all(
        pool.probe is Probe.ANSWERS for pool in settings.pools.values()
    )
    for setting, name in served_references(settings):
        yield from _wrong_model(setting, name, own, VIRTUAL_MODELS, closed)
    for key, static in settings.keys.static.items():
        for name in static.models or ():
            askable = (*ASKABLE, *settings.chains.models)
            yield from _wrong_model(f"keys.static.{key}.models", name, own, askable, closed)


def _wrong_model(
    setting: str, name: str, own: Iterable[str], virtual: Iterable[str], closed: bool
) -> Iterator[str]:
    known = {*own, *virtual}
    if name in known:
        return
    if name.startswith(virtual_models.PREFIX):
        yield f"{setting}: {name!r} is no virtual model that can stand here" + did_you_mean(
            name, virtual
        )
    elif closed:
        yield f"{setting}: no pool serves {name!r}{did_you_mean(name, known)}"
    elif meant := misspelt(name, known):
        yield (
            f"{setting}: no model is called {name!r}; did you mean {meant}? If an engine serves "
            "it, list it under its pool's `models`"
        )


def _wrong_family(settings: Settings) -> Iterator[str]:
    """The family may have models that no pool serves: those of devices."""
    listed = listed_models(settings)
    for name in settings.family:
        if name not in listed and (meant := misspelt(name, listed - set(settings.family))):
            yield f"family: no model is called {name!r}; did you mean {meant}?"


def _wrong_devices(settings: Settings) -> Iterator[str]:
    """Devices also come by enrolment, of which the settings know nothing."""
    known = settings.devices.tokens
    for name in settings.cascade.stages[0].devices:
        if name not in known and (meant := misspelt(name, known)):
            yield f"cascade.stages.0.device: no device is called {name!r}; did you mean {meant}?"


def _wrong_domains(settings: Settings) -> Iterator[str]:
    known = settings.collective.domains
    for place, rule in enumerate(settings.collective.template_rules):
        for pattern in rule.domains:
            if pattern not in known and not set(pattern) & set("*?["):
                yield (
                    f"collective.template_rules.{place}.domains: no domain is called {pattern!r}"
                    f"{did_you_mean(pattern, known)}"
                )


def _wrong_templates(settings: Settings) -> Iterator[str]:
    known = {*shipped_templates()["templates"], *settings.collective.templates}
    for place, rule in enumerate(settings.collective.template_rules):
        if rule.template not in known:
            yield (
                f"collective.template_rules.{place}.template: no template is called "
                f"{rule.template!r}{_or_known(rule.template, known)}"
            )


def _wrong_profiles(settings: Settings) -> Iterator[str]:
    known = settings.profiles
    for name, spec in known.items():
        try:
            build_profile(name, spec)
        except ConfigError as error:
            yield error.message
    for name, pool in settings.pools.items():
        if pool.profile not in known:
            hint = _or_known(pool.profile, known)
            yield f"pools.{name}.profile: no profile is called {pool.profile!r}{hint}"


def _or_known(name: str, known: Collection[str]) -> str:
    return did_you_mean(name, known) or f"; known: {', '.join(sorted(known))}"
