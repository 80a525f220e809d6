"""The routes that the device itself does not have: what is asked there, the gateway answers."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from gateway.protocol.device_link.speculation import Privacy
from gateway.protocol.paths import CHAT, COMPLETIONS, READ_ROUTES, ROUTES, STREAMS
from services.device_agent.answers.answer_route import GATEWAY
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.api.body_reader import MAX_FORM_BYTES, read_bytes, read_fields
from services.device_agent.api.gateway_proxy import GatewayProxy
from services.device_agent.api.refusals import answered, stays_here
from services.device_agent.api.requests import (
    BadRequest,
    check_header_names,
    check_headers,
    privacy_class,
)


class PassedRoutes:
    """The routes of the gateway alone. `least_privacy`: the class of requests that name none."""

    def __init__(
        self, *, router: AnswerRouter, gateway: GatewayProxy, least_privacy: Privacy
    ) -> None:
        self._router = router
        self._gateway = gateway
        self._least_privacy = least_privacy

    def routes(self) -> list[HttpRoute]:
        passed = [
            HttpRoute(path, self.form if route.form else self.body, methods=["POST"])
            for path, route in ROUTES.items()
            if path not in (CHAT, COMPLETIONS)
        ]
        read = [HttpRoute(path, self.read, methods=[way]) for path, way in READ_ROUTES.items()]
        streams = HttpRoute(STREAMS + "/{stream}", self.streams, methods=["GET", "DELETE"])
        # A stream can't be looked at without taking it up.
        streams.methods = {"GET", "DELETE"}
        return [*passed, *read, streams]

    async def body(self, http: HttpRequest) -> Response:
        """A route with a body in JSON."""
        return await answered(http, partial(self._body, http))

    async def form(self, http: HttpRequest) -> Response:
        """A route with a form, which the gateway reads."""
        return await answered(http, partial(self._form, http))

    async def read(self, http: HttpRequest) -> Response:
        """A route without a body."""
        return await answered(http, partial(self._read, http))

    async def streams(self, http: HttpRequest) -> Response:
        """A caller that asked for a resumable stream comes back to it."""
        return await answered(
            http, lambda id: self._gateway.resume(http, http.path_params["stream"])
        )

    async def _body(self, http: HttpRequest, id: str) -> Response:
        path = http.url.path
        check_headers(http.headers)
        fields = await read_fields(http, model_optional=ROUTES[path].model_optional)
        privacy = self._privacy(http, fields.get("model") or "")
        return await self._gateway.forward(
            http, fields, fields=[path], privacy=privacy, request_id=id
        )

    async def _form(self, http: HttpRequest, id: str) -> Response:
        check_headers(http.headers)
        form = await read_bytes(http, MAX_FORM_BYTES)
        # Which model the form names is for the gateway to read, and whether that may see it.
        privacy = self._privacy(http, "")
        return await self._gateway.forward(
            http, form, fields=[http.url.path], privacy=privacy, request_id=id
        )

    async def _read(self, http: HttpRequest, id: str) -> Response:
        check_headers(http.headers)
        return await self._gateway.read(http, privacy=self._privacy(http, ""), request_id=id)

    def _privacy(self, http: HttpRequest, model: str) -> Privacy:
        """The request's class, where servers may see it. Raises BadRequest."""
        check_header_names(http.headers)
        path, privacy = http.url.path, privacy_class(http.headers, self._least_privacy)
        if self._router.link is None:
            raise BadRequest(f"{path}: the agent has no gateway", None, "not_found")
        if privacy != "public" and not self._router.offers(GATEWAY, model, privacy):
            raise stays_here([path], privacy)
        return privacy
