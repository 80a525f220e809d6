"""What drafts for ordinary requests: predicted texts, and tiers in the middle of a chain."""

from __future__ import annotations

from gateway.core.outcome import Outcome
from gateway.core.ports import DraftingEngines, ModelServer
from gateway.core.types import InferenceRequest
from gateway.serving.requests.relay import OwnServer
from gateway.serving.speculation.chained import ChainedModels
from gateway.serving.speculation.predictions import Predictions
from gateway.serving.speculation.prompt_lookup import PromptLookups
from gateway.settings import Settings
from gateway.wiring.shared import Shared


def build_own_servers(settings: Settings, *, shared: Shared, engines: DraftingEngines) -> OwnServer:
    """The way to the engines for requests that predict their answers, and for those of chains. A
    predicted text goes before a chain: it is there at once."""
    predictions = Predictions(
        server=shared.server,
        engines=engines,
        new_id=shared.new_id,
        max_chars=settings.predictions.max_chars,
    )
    chained = ChainedModels(
        server=shared.server,
        engines=engines,
        endpoints=shared.endpoints,
        chains=shared.chains,
        stages=settings.chains.models,
        auto=settings.chains.auto,
    )

    lookups = None
    if settings.predictions.from_prompt == "adaptive":
        lookups = PromptLookups(server=shared.server, engines=engines, new_id=shared.new_id)

    def own_server(request: InferenceRequest, outcome: Outcome) -> ModelServer | None:
        found = predictions.server(request, outcome) or chained.way(request)
        return found if found or lookups is None else lookups.way(request, outcome)

    return own_server
