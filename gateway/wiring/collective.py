"""From the settings to the model `tierflow-collective` and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.adapters.embedding.cached import CachedEmbedder
from gateway.adapters.embedding.files import find_files
from gateway.core.collective.selection import Prior
from gateway.core.collective.templates import Form, Template, TemplateRule, Templates
from gateway.core.ports import (
    Callers,
    CollectiveTelemetry,
    Embedder,
    EndpointSource,
    Members,
    StateStore,
)
from gateway.core.prices import Prices
from gateway.core.routing.policies import VIRTUAL_MODELS
from gateway.errors import EmbeddingFailed
from gateway.protocol.virtual_models import OF_TIER
from gateway.serving.collective.aggregation import Aggregator
from gateway.serving.collective.best_of_n import Likelihoods
from gateway.serving.collective.embedding import EndpointEmbedder
from gateway.serving.collective.feedback import FeedbackHandler
from gateway.serving.collective.fit import FitEstimator
from gateway.serving.collective.handler import CollectiveHandler
from gateway.serving.collective.memory_store import CollectiveMemory
from gateway.serving.collective.options import CollectivePolicy, Quota, RetentionTimes
from gateway.serving.collective.selection import CollectiveDeps
from gateway.serving.collective.server_model import ServerModel
from gateway.settings import Settings
from gateway.settings.shipped import shipped_templates
from gateway.settings.virtual_models.collective import (
    CollectiveSettings,
    TemplateRuleSettings,
    TemplateSettings,
)
from gateway.settings.virtual_models.collective import Embedding as EmbeddingSettings
from gateway.wiring.shared import Shared

log = structlog.get_logger("tierflow.embedding")

BATCH = 32
"""Texts that a pool's model is given in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveParts:
    """The handlers of `tierflow-collective`: of requests, and of feedback on their answers; and
    what tells which members fit a question."""

    handler: CollectiveHandler
    feedback: FeedbackHandler
    fit_estimator: FitEstimator


def build_collective(
    stack: AsyncExitStack,
    settings: Settings,
    *,
    shared: Shared,
    members: Members,
    callers: Callers,
    store: StateStore,
    templates: Templates,
    telemetry: CollectiveTelemetry,
    embedder: Embedder | None,
) -> CollectiveParts:
    """Inside the event loop; `stack` ends what is under way. Without an embedder members are
    chosen by words."""
    collective = settings.collective
    policy = _policy(collective, shared.prices)
    served = partial(_served, shared.endpoints)
    server_model = ServerModel(shared.calls)
    fit_estimator = _fit_estimator(stack, collective, telemetry, embedder)
    deps = CollectiveDeps(
        members=members,
        callers=callers,
        server_model=server_model,
        memory=CollectiveMemory(store, policy, telemetry),
        fit_estimator=fit_estimator,
        aggregator=Aggregator(
            server_model=server_model,
            likelihoods=Likelihoods(shared.calls),
            templates=templates,
            served=served,
            likelihood_models=collective.rather_likelihood,
        ),
        templates=templates,
        served=served,
        room=partial(_room, shared.endpoints),
        policy=policy,
        clock=shared.clock,
        telemetry=shared.telemetry,
        collective_telemetry=telemetry,
        unix_time=shared.wall,
        new_id=shared.new_id,
    )
    handler = CollectiveHandler(deps, shared.admission, shared.timeouts.idle_s)
    stack.push_async_callback(handler.close)
    feedback = FeedbackHandler(
        store=store, policy=policy, telemetry=telemetry, new_id=shared.new_id
    )
    return CollectiveParts(handler=handler, feedback=feedback, fit_estimator=fit_estimator)


def _fit_estimator(
    stack: AsyncExitStack,
    collective: CollectiveSettings,
    telemetry: CollectiveTelemetry,
    embedder: Embedder | None,
) -> FitEstimator:
    """The estimator of how well members fit, which `stack` closes."""
    estimator = FitEstimator(
        embedder=embedder,
        domains=collective.domains,
        telemetry=telemetry,
        timeout_s=collective.embedding.timeout_s,
    )
    stack.callback(estimator.close)
    return estimator


def _policy(collective: CollectiveSettings, prices: Prices) -> CollectivePolicy:
    quota = None
    if collective.requests_per_minute is not None:
        quota = Quota(float(collective.burst), collective.requests_per_minute / 60.0)
    quality = collective.quality
    return CollectivePolicy(
        aggregator=collective.aggregator,
        aggregate=collective.aggregate,
        max_members=collective.max_members,
        quorum=collective.quorum,
        grace=collective.grace,
        agreement=collective.agreement,
        deadline_s=collective.deadline_s,
        rounds=collective.rounds,
        on_too_few=collective.on_too_few,
        member_tokens=collective.member_tokens,
        max_question_chars=collective.max_question_chars,
        max_answer_chars=collective.max_answer_chars,
        feedback_weight=quality.feedback_weight,
        prior=Prior(quality.prior, quality.prior_weight),
        prices=prices,
        quota=quota,
        retention=RetentionTimes(
            idempotency_s=collective.idempotency_s,
            lease_s=collective.lease_s,
            affinity_s=collective.affinity_s,
            feedback_s=quality.feedback_s,
            half_life_s=quality.half_life_s,
        ),
        domains=collective.domains,
    )


def collective_templates(settings: Settings) -> Templates:
    """The shipped ones, and the settings'."""
    collective = settings.collective
    shipped = shipped_templates()
    specs = {id: TemplateSettings(**spec) for id, spec in shipped["templates"].items()}
    by_id = {id: _template(id, spec) for id, spec in (specs | collective.templates).items()}
    rules = [
        TemplateRule(**rule.model_dump())
        for rule in (
            *collective.template_rules,
            *(TemplateRuleSettings(**rule) for rule in shipped["rules"]),
        )
    ]
    return Templates(by_id, rules)


def _template(id: str, spec: TemplateSettings) -> Template:
    name, _, version = id.rpartition("@")
    return Template(
        name=name, version=int(version), **(spec.model_dump() | {"form": Form(spec.form)})
    )


def choose_embedder(
    stack: AsyncExitStack, embedding: EmbeddingSettings, shared: Shared
) -> tuple[Embedder | None, str]:
    """The embedder, which `stack` closes; or None, and why members are chosen by words: that works,
    and the operator who did not choose it must hear of it."""
    if embedding.source == "words":
        return None, ""
    if embedding.source == "pool":
        pool = EndpointEmbedder(
            calls=shared.calls, model=embedding.model, clock=shared.clock, new_id=shared.new_id
        )
        return _cached(stack, pool, embedding.cache, BATCH), ""
    try:
        files = find_files()
        # Its libraries come with the extra `embedding`.
        from gateway.adapters.embedding.minilm import MiniLm

        local = MiniLm(files)
    except EmbeddingFailed as error:
        problem = error.message
    except ImportError as error:
        problem = f"the module {error.name} is not installed"
    else:
        stack.callback(local.close)
        return _cached(stack, local, embedding.cache), ""
    log.warning("embedding_missing", problem=problem)
    return None, f"{problem}; members are chosen by their tags and words"


def _cached(stack: AsyncExitStack, embedder: Embedder, size: int, batch: int = 1) -> Embedder:
    cached = CachedEmbedder(embedder, size, batch)
    stack.callback(cached.close)
    return cached


def _room(endpoints: EndpointSource, model: str) -> int | None:
    """The most tokens that an engine has room for under this name; None where none says it."""
    names = _served(endpoints, model) or ()
    models = (served for state in endpoints.states() for served in state.models.values())
    return max((m.max_model_len or 0 for m in models if m.name in names), default=0) or None


def _served(endpoints: EndpointSource, model: str) -> Sequence[str] | None:
    """The real models that a name may come out as, likeliest first; None for an unknown name."""
    states = sorted(endpoints.states(), key=lambda state: not state.healthy)
    if model in VIRTUAL_MODELS:
        states.sort(key=lambda state: OF_TIER.get(state.endpoint.tier.value) != model)
        return list(dict.fromkeys(name for state in states for name in state.models))
    pools = {name for pool in endpoints.pools() for name in (*pool.models, *pool.labels)}
    known = pools | {name for state in states for name in state.models}
    return (model,) if model in known else None
