"""What drafts for ordinary requests: predicted texts."""

from __future__ import annotations

from gateway.core.ports import DraftingEngines
from gateway.serving.requests.relay import OwnServer
from gateway.serving.speculation.predictions import Predictions
from gateway.settings.predictions import PredictionSettings
from gateway.wiring.shared import Shared


def build_predictions(
    settings: PredictionSettings, *, shared: Shared, engines: DraftingEngines
) -> OwnServer:
    """The way to the engines for requests that predict their answers."""
    predictions = Predictions(
        server=shared.server,
        engines=engines,
        new_id=shared.new_id,
        max_chars=settings.max_chars,
    )
    return predictions.server
