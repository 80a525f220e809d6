"""From the settings to the model `tierflow-collective` and what belongs to it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

import yaml

from gateway.adapters.embedding.cached import CachedEmbedder
from gateway.adapters.embedding.files import find_files
from gateway.core.collective.selection import Prior
from gateway.core.collective.templates import Form, Template, TemplateRule, Templates
from gateway.core.ports import (
    Callers,
    Clock,
    CollectiveTelemetry,
    Embedder,
    EndpointSource,
    Members,
    StateStore,
    Telemetry,
)
from gateway.core.prices import Prices
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.errors import ConfigError, EmbeddingFailed
from gateway.serving.collective.aggregation import Aggregator
from gateway.serving.collective.best_of_n import Likelihoods
from gateway.serving.collective.embedding import EndpointEmbedder
from gateway.serving.collective.feedback import FeedbackHandler
from gateway.serving.collective.fit import FitEstimator
from gateway.serving.collective.handler import CollectiveHandler
from gateway.serving.collective.memory_store import CollectiveMemory
from gateway.serving.collective.policy import CollectivePolicy, Keep, Quota
from gateway.serving.collective.selection import CollectiveDeps
from gateway.serving.collective.server_model import ServerModel
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.engine_calls import EngineCalls
from gateway.settings import Settings
from gateway.settings import collective as wanted

BATCH = 32
"""Texts that a pool's model is given in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the collective shares with the rest of the gateway."""

    members: Members
    callers: Callers
    store: StateStore
    calls: EngineCalls
    admission: Admission
    endpoints: EndpointSource
    clock: Clock
    telemetry: Telemetry
    collectives: CollectiveTelemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveServices:
    """`conditions`: what is degraded, by name."""

    story: CollectiveHandler
    feedback: FeedbackHandler
    conditions: dict[str, str]
    _close: Callable[[], None]

    async def close(self) -> None:
        await self.story.close()
        self._close()


def collective_services(
    settings: Settings, templates: Templates, with_: Surroundings
) -> CollectiveServices:
    """Inside the event loop."""
    asked = settings.collective
    policy = _policy(asked, prices(settings))
    conditions: dict[str, str] = {}
    embedder, close = _embedder(asked.embedding, with_, conditions)
    served = partial(_served, with_.endpoints)
    server_model = ServerModel(with_.calls)
    aggregator = Aggregator(
        server_model=server_model,
        likelihoods=Likelihoods(with_.calls),
        templates=templates,
        served=served,
        likelihood_models=asked.rather_likelihood,
    )
    fit_estimator = FitEstimator(
        embedder=embedder,
        domains=policy.domains,
        telemetry=with_.collectives,
        timeout_s=asked.embedding.timeout_s,
    )
    deps = CollectiveDeps(
        members=with_.members,
        callers=with_.callers,
        server_model=server_model,
        memory=CollectiveMemory(with_.store, policy, with_.collectives),
        fit_estimator=fit_estimator,
        aggregator=aggregator,
        templates=templates,
        served=served,
        policy=policy,
        clock=with_.clock,
        telemetry=with_.telemetry,
        collective_telemetry=with_.collectives,
        unix_time=time.time,
        new_id=lambda: secrets.token_hex(16),
    )
    story = CollectiveHandler(deps, with_.admission, settings.timeouts.idle_s)
    desk = FeedbackHandler(
        store=with_.store, policy=policy, telemetry=with_.collectives, new_id=deps.new_id
    )

    def stop() -> None:
        fit_estimator.close()
        close()

    return CollectiveServices(story=story, feedback=desk, conditions=conditions, _close=stop)


def prices(settings: Settings) -> Prices:
    return Prices(settings.prices.model_dump())


def _policy(asked: wanted.CollectiveSettings, prices: Prices) -> CollectivePolicy:
    quota = None
    if asked.requests_per_minute is not None:
        quota = Quota(float(asked.burst), asked.requests_per_minute / 60.0)
    quality = asked.quality
    return CollectivePolicy(
        aggregator=asked.aggregator,
        aggregate=asked.aggregate,
        max_members=asked.max_members,
        quorum=asked.quorum,
        grace=asked.grace,
        agreement=asked.agreement,
        deadline_s=asked.deadline_s,
        rounds=asked.rounds,
        on_too_few=asked.on_too_few,
        member_tokens=asked.member_tokens,
        max_question_chars=asked.max_question_chars,
        max_answer_chars=asked.max_answer_chars,
        feedback_weight=quality.feedback_weight,
        prior=Prior(quality.prior, quality.prior_weight),
        prices=prices,
        quota=quota,
        keep=Keep(
            idempotency_s=asked.idempotency_s,
            lease_s=asked.lease_s,
            affinity_s=asked.affinity_s,
            feedback_s=quality.feedback_s,
            half_life_s=quality.half_life_s,
        ),
        domains=asked.domains,
    )


def collective_templates(settings: Settings) -> Templates:
    """The shipped ones, and the settings'. Raises ConfigError."""
    asked = settings.collective
    shipped = shipped_templates()
    given = {id: spec.model_dump() for id, spec in asked.templates.items()}
    by_id = {id: _template(id, spec) for id, spec in (shipped["templates"] | given).items()}
    rules = [TemplateRule(**rule.model_dump()) for rule in asked.template_rules]
    rules += [TemplateRule(**rule) for rule in shipped["rules"]]
    for rule in rules:
        if rule.template not in by_id:
            raise ConfigError(
                f"collective.template_rules: unknown template {rule.template}; "
                f"known: {', '.join(sorted(by_id))}"
            )
    return Templates(by_id, rules)


def shipped_templates() -> dict[str, Any]:
    text = resources.files("gateway.core.collective").joinpath("templates.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def _template(id: str, spec: dict[str, Any]) -> Template:
    name, _, version = id.rpartition("@")
    return Template(name=name, version=int(version), **{**spec, "form": Form(spec["form"])})


def _embedder(
    asked: wanted.Embedding, with_: Surroundings, conditions: dict[str, str]
) -> tuple[Embedder | None, Callable[[], None]]:
    """Without one, members are chosen by words: it works, and the operator must hear of it."""
    if asked.source == "pool":
        made = EndpointEmbedder(
            calls=with_.calls,
            model=asked.model,
            clock=with_.clock,
            new_id=lambda: secrets.token_hex(16),
        )
        cached = CachedEmbedder(made, asked.cache, BATCH)
        return cached, cached.close
    problem = "collective.embedding.source is words"
    if asked.source == "minilm":
        try:
            files = find_files()
            # Its libraries come with the extra `embedding`.
            from gateway.adapters.embedding.minilm import MiniLm

            local = MiniLm(files)
            cached = CachedEmbedder(local, asked.cache)

            def stop() -> None:
                cached.close()
                local.close()

            return cached, stop
        except EmbeddingFailed as error:
            problem = error.message
        except ImportError as error:
            problem = f"the module {error.name} is not installed"
    conditions["embedding-missing"] = f"{problem}; members are chosen by their tags and words"
    return None, lambda: None


def _served(endpoints: EndpointSource, model: str) -> Sequence[str] | None:
    """The real models that a name may come out as, likeliest first; None for an unknown name."""
    states = sorted(endpoints.states(), key=lambda state: not state.healthy)
    if model in VIRTUAL_MODELS:
        tier = model.removeprefix("tierflow-")
        states.sort(key=lambda state: state.endpoint.tier.value != tier)
        return list(dict.fromkeys(name for state in states for name in state.models))
    pools = {name for pool in endpoints.pools() for name in (*pool.models, *pool.labels)}
    known = pools | {name for state in states for name in state.models}
    return (model,) if model in known else None
