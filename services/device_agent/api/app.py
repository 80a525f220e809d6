"""The routes: inference, models, health, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as HttpRoute
from starlette.types import Lifespan

from services.device_agent.answer import Piece, Report
from services.device_agent.answering import Answering, Route
from services.device_agent.api.forwarding import Forwarding
from services.device_agent.api.leaving import unless_left
from services.device_agent.api.rendering import Renderer, error_body
from services.device_agent.api.requests import (
    MODELS,
    BadRequest,
    Request,
    beyond_the_device,
    read_body,
    understand,
    way_of,
)
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.membership.registration import Membership
from services.device_agent.metrics import Metrics
from services.device_agent.text import TextStream
from services.device_agent.together import Refused

VERIFIED_HEADER = "x-tierflow-verified-tokens"
MAX_BODY_BYTES = 8 * 1024 * 1024
BODY_S = 30.0
STATUSES = {"model_not_found": 404, "gateway_unreachable": 503}
"""Of refusals by their code; 400 for the others."""


class DeviceApi:
    def __init__(
        self,
        answering: Answering,
        forwarding: Forwarding,
        metrics: Metrics,
        membership: Membership | None = None,
    ) -> None:
        self._answering = answering
        self._forwarding = forwarding
        self._metrics = metrics
        self._membership = membership

    def app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        return Starlette(
            routes=[
                HttpRoute("/v1/chat/completions", self.chat, methods=["POST"]),
                HttpRoute("/v1/completions", self.completions, methods=["POST"]),
                HttpRoute("/v1/models", self.models),
                HttpRoute("/health", self.health),
                HttpRoute("/ready", self.ready),
                HttpRoute("/metrics", self.metrics),
            ],
            lifespan=lifespan,
        )

    async def chat(self, http: HttpRequest) -> Response:
        return await self._infer(http, chat=True)

    async def completions(self, http: HttpRequest) -> Response:
        return await self._infer(http, chat=False)

    async def _infer(self, http: HttpRequest, chat: bool) -> Response:
        answering = self._answering
        try:
            raw = await _read(http)
            content = _json(raw)
            body = read_body(content)
            way = way_of(body.model, answering.thread.drafter.name, self._served())
            if beyond := beyond_the_device(content):
                return await self._forwarding.forward(http, content, way, beyond)
            context = answering.thread.drafter.context
            request = understand(body, chat, http.headers, way, answering.model, context)
            route = answering.route(way, body.model)
            work = self._begun if request.stream else self._whole
            return await unless_left(http, work(request, route))
        except BadRequest as exc:
            status = STATUSES.get(exc.code or "", 400)
            kind = "invalid_request_error" if status < 500 else "server_error"
            return JSONResponse(error_body(str(exc), kind, exc.param, exc.code), status)
        except Refused as exc:
            return JSONResponse(
                error_body(str(exc), "invalid_request_error", _named(exc, chat), exc.code),
                status_code=400,
            )
        except DrafterFailed as exc:
            return JSONResponse(
                error_body(str(exc), "server_error", None, "drafter_failed"), status_code=503
            )

    async def _whole(self, request: Request, route: Route) -> Response:
        report = Report(route.way)
        text = TextStream(self._answering.model.tokenizer, request.ask.stop)
        pieces = []
        answer = self._answering.answer(request.ask, route, report)
        async with aclosing(answer):
            async for piece in answer:
                report.ids += piece.ids
                pieces.append(text.feed(piece.ids))
                if text.stopped is not None and piece.by[0] == "device":
                    report.reason = "stop"
                    break
        content = "".join(pieces) + text.finish()
        return JSONResponse(
            Renderer(request).whole(content, report),
            headers={VERIFIED_HEADER: str(report.verified)},
        )

    async def _begun(self, request: Request, route: Route) -> Response:
        """A stream whose first tokens are there: what is refused before them has a status."""
        report = Report(route.way)
        answer = self._answering.answer(request.ask, route, report)
        try:
            first = await anext(answer, None)
        except BaseException:
            await answer.aclose()
            raise
        stream = self._stream(request, report, _from(first, answer))
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _stream(
        self, request: Request, report: Report, answer: AsyncGenerator[Piece]
    ) -> AsyncIterator[bytes]:
        renderer = Renderer(request)
        text = TextStream(self._answering.model.tokenizer, request.ask.stop)
        try:
            if opening := renderer.first():
                yield opening
            async for piece in answer:
                # With marks each chunk has one maker, so that its text can be told apart.
                for part in piece.runs() if request.marks else (piece,):
                    new = text.feed(part.ids)
                    if new or request.token_ids or request.marks:
                        yield renderer.piece(new, part)
                if text.stopped is not None and piece.by[0] == "device":
                    report.reason = "stop"
                    break
            if rest := text.finish():
                yield renderer.piece(rest, None)
            yield renderer.last(report)
        except Refused as exc:
            yield renderer.error(error_body(str(exc), "invalid_request_error", None, exc.code))
        except DrafterFailed as exc:
            yield renderer.error(error_body(str(exc), "server_error", None, "drafter_failed"))
        finally:
            await answer.aclose()

    async def models(self, http: HttpRequest) -> Response:
        names = [*MODELS, self._answering.thread.drafter.name, *self._served()]
        return JSONResponse(
            {
                "object": "list",
                "data": [
                    {"id": name, "object": "model", "created": 0, "owned_by": "tierflow"}
                    for name in names
                ],
            }
        )

    def _served(self) -> dict[str, str]:
        link = self._answering.link
        return {name: offer.tier for name, offer in link.models.items()} if link else {}

    async def health(self, http: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, http: HttpRequest) -> Response:
        """Ready as soon as the device can answer alone; a lost link is a condition."""
        link = self._answering.link
        problem = link.problem if link else None
        conditions = {"link-lost": problem} if problem else {}
        member = self._membership
        reason = "no gateway was named" if link is None else "--no-member: it only drafts"
        return JSONResponse(
            {
                "ready": True,
                "conditions": conditions,
                "tiers": list(link.offers) if link else [],
                "member": member.status() if member else {"registered": None, "reason": reason},
            }
        )

    async def metrics(self, http: HttpRequest) -> Response:
        page = generate_latest(self._metrics.registry)
        return Response(page, media_type=CONTENT_TYPE_LATEST)


async def _from(first: Piece | None, rest: AsyncGenerator[Piece]) -> AsyncGenerator[Piece]:
    async with aclosing(rest):
        if first is not None:
            yield first
            async for piece in rest:
                yield piece


def _named(refused: Refused, chat: bool) -> str | None:
    """The field that a refusal is about."""
    if refused.code in ("context_length_exceeded", "prompt_too_long"):
        return "messages" if chat else "prompt"
    return "model" if refused.code in ("tokenizer_differs", "model_not_found") else None


async def _read(http: HttpRequest) -> bytes:
    """The body. Raises BadRequest when it is too large or does not come."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in http.stream():
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise BadRequest(f"the body has more than {MAX_BODY_BYTES} bytes", None)
                pieces.append(piece)
    except TimeoutError as exc:
        raise BadRequest(f"the body did not arrive in {BODY_S:g} s", None) from exc
    return b"".join(pieces)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is no JSON: {exc}", None) from exc
