"""Requests with options that only a server understands go to the gateway as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from services.device_agent.api.rendering import error_body, event
from services.device_agent.api.requests import BadRequest

TIERS = {"device-edge": "tierflow-edge", "device-cloud": "tierflow-cloud", "auto": "tierflow-auto"}
ANSWER_S = 600.0
CONNECT_S = 5.0
LOST = "the connection to the gateway broke in the middle of the answer"
PASSED = ("content-type", "x-request-id", "x-tierflow-tier", "x-tierflow-reason")


class Forwarding:
    """`gateway` is its URL; None: there is nobody to forward to."""

    def __init__(self, gateway: str | None) -> None:
        self._gateway = gateway
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        self._client = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def forward(
        self, http: HttpRequest, body: dict[str, Any], way: str, because: list[str]
    ) -> Response:
        """Raises BadRequest when the device alone is asked, or the gateway is out of reach."""
        names = ", ".join(because)
        if way not in TIERS or self._gateway is None:
            raise BadRequest(f"{names}: not understood on the device; ask a tier", because[0])
        known = not str(body["model"]).startswith("tierflow-")
        asked = {**body, "model": body["model"] if known else TIERS[way]}
        request = self._client.build_request("POST", self._gateway + http.url.path, json=asked)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.HTTPError as exc:
            raise BadRequest(
                f"{names}: only servers understand this, and the gateway is out of reach",
                because[0],
                "gateway_unreachable",
            ) from exc
        headers = {name: answer.headers[name] for name in PASSED if name in answer.headers}
        return StreamingResponse(_relay(answer), answer.status_code, headers)

    async def close(self) -> None:
        await self._client.aclose()


async def _relay(answer: httpx.Response) -> AsyncIterator[bytes]:
    streamed = answer.headers.get("content-type", "").startswith("text/event-stream")
    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.HTTPError:
        if not streamed:
            # Fewer bytes than were promised: the client sees that the answer is not whole.
            raise
        # The last piece may have ended within an event.
        yield b"\n\n" + event(error_body(LOST, "server_error", None, "gateway_lost"))
    finally:
        await answer.aclose()
