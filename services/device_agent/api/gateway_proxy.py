"""Passes requests with options that only a server understands on to the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from gateway.protocol import headers, virtual_models
from services.device_agent.api.requests import BadRequest
from services.device_agent.api.responses import error_body, event

GATEWAY_MODELS = {
    "device-edge": virtual_models.EDGE,
    "device-cloud": virtual_models.CLOUD,
    "auto": virtual_models.AUTO,
}
"""The gateway's virtual model for each placement."""
ANSWER_S = 600.0
CONNECT_S = 5.0
LOST = "the connection to the gateway broke in the middle of the answer"
PASSED_HEADERS = ("content-type", headers.REQUEST_ID, headers.TIER, headers.REASON)


class GatewayProxy:
    """The way to the gateway's own API. `gateway` is its URL; None: there is none."""

    def __init__(self, gateway: str | None) -> None:
        self._gateway = gateway
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def forward(
        self, http: HttpRequest, body: dict[str, Any], placement: str, fields: list[str]
    ) -> Response:
        """The gateway's response. `fields` are those that only a server understands.

        Raises BadRequest where the device alone shall answer, or the gateway is out of reach.
        """
        names = ", ".join(fields)
        if placement not in GATEWAY_MODELS or self._gateway is None:
            raise BadRequest(
                f"{names}: the device does not support this; ask a server's model", fields[0]
            )
        if str(body["model"]).startswith(virtual_models.PREFIX):
            body = {**body, "model": GATEWAY_MODELS[placement]}
        request = self._client.build_request("POST", self._gateway + http.url.path, json=body)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.HTTPError as exc:
            raise BadRequest(
                f"{names}: only servers support this, and the gateway is out of reach",
                fields[0],
                "gateway_unreachable",
            ) from exc
        passed = {name: answer.headers[name] for name in PASSED_HEADERS if name in answer.headers}
        return StreamingResponse(_relay(answer), answer.status_code, passed)

    async def close(self) -> None:
        await self._client.aclose()


async def _relay(answer: httpx.Response) -> AsyncIterator[bytes]:
    streamed = answer.headers.get("content-type", "").startswith("text/event-stream")
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.HTTPError:
        if not streamed:
            # The client gets fewer bytes than announced, and sees that the answer is not whole.
            raise
        # The last piece may have ended within an event.
        yield b"\n\n" + event(error_body(LOST, "server_error", None, "gateway_lost"))
    finally:
        await answer.aclose()
