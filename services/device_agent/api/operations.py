"""What the device says of itself: its models, its health, its metrics."""

from __future__ import annotations

import time

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as HttpRoute

from gateway.protocol import virtual_models
from gateway.protocol.root_page import HEADERS, PageLink, root_page
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.api.refusals import refused
from services.device_agent.api.requests import VIRTUAL_MODELS, unknown_model
from services.device_agent.conditions import AgentConditions
from services.device_agent.membership.registration import Membership
from services.device_agent.metrics import AgentMetrics

GATEWAY_MODELS = (
    virtual_models.EDGE,
    virtual_models.CLOUD,
    virtual_models.EDGE_CLOUD,
    virtual_models.CASCADE,
    virtual_models.COLLECTIVE,
)
"""The gateway's virtual models, which the device passes on."""
STARTED = int(time.time())
"""What the device serves, it has had since it started."""


_LINKS = (
    PageLink("/v1/models", "the models that may be asked for"),
    PageLink("/ready", "the model, the link to the gateway, and what is wrong with them"),
    PageLink("/health", "whether the agent lives"),
    PageLink("/metrics", "Prometheus metrics"),
)


class DeviceOperations:
    """The routes beside inference. `membership` is None where the device only drafts, for
    `reason`."""

    def __init__(
        self,
        *,
        router: AnswerRouter,
        metrics: AgentMetrics,
        membership: Membership | None,
        reason: str,
        conditions: AgentConditions,
    ) -> None:
        self._router = router
        self._metrics = metrics
        self._membership = membership
        self._reason = reason
        self._conditions = conditions

    def routes(self) -> list[HttpRoute]:
        return [
            HttpRoute("/", self.root),
            HttpRoute("/v1/models", self.models),
            HttpRoute("/v1/models/{name:path}", self.model),
            HttpRoute("/health", self.health),
            HttpRoute("/ready", self.ready),
            HttpRoute("/metrics", self.metrics),
        ]

    async def root(self, http: HttpRequest) -> Response:
        page = root_page(
            "Tierflow device agent",
            "OpenAI's API on this device: answered here, with the edge or by the cloud.",
            _LINKS,
            asked_at=str(http.base_url),
        )
        return Response(page, headers=dict(HEADERS))

    async def models(self, http: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": list(map(_card, self._names()))})

    async def model(self, http: HttpRequest) -> Response:
        name, known = http.path_params["name"], self._names()
        if name in known:
            return JSONResponse(_card(name))
        return refused(unknown_model(name, known))

    def _names(self) -> list[str]:
        of_gateway = GATEWAY_MODELS if self._router.link is not None else ()
        names = [
            *VIRTUAL_MODELS,
            *of_gateway,
            self._router.thread.drafter.name,
            *self._router.served(),
        ]
        return list(dict.fromkeys(names))

    async def health(self, http: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, http: HttpRequest) -> Response:
        """Always ready, as the device can answer alone; what it lacks are conditions."""
        link, member = self._router.link, self._membership
        alone = {"registered": None, "reason": self._reason}
        return JSONResponse(
            {
                "ready": True,
                "conditions": dict(self._conditions.current()),
                "tiers": list(link.offers) if link else [],
                "member": member.status() if member else alone,
            }
        )

    async def metrics(self, http: HttpRequest) -> Response:
        page = generate_latest(self._metrics.registry)
        return Response(page, media_type=CONTENT_TYPE_LATEST)


def _card(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": STARTED, "owned_by": "tierflow"}
