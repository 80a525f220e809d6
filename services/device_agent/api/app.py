"""The routes of the device's API: inference, models, health, metrics."""

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

from gateway.protocol.headers import PRIVACY
from gateway.protocol.paths import STREAMS
from gateway.protocol.speculation import Privacy
from services.device_agent.answers.answer import AnswerPiece, AnswerReport
from services.device_agent.answers.answer_router import AnswerRoute, AnswerRouter
from services.device_agent.answers.verified_answer import PRIVACY_CLASS, RequestRefused
from services.device_agent.api.client_disconnect import cancel_on_disconnect
from services.device_agent.api.gateway_proxy import GatewayProxy
from services.device_agent.api.requests import (
    VIRTUAL_MODELS,
    ApiRequest,
    BadRequest,
    api_request,
    check_headers,
    needs_link,
    placement_for,
    privacy_class,
    read_body,
    server_only_fields,
)
from services.device_agent.api.responses import ResponseWriter, error_body
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.membership.registration import Membership
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextStream

VERIFIED_HEADER = "x-tierflow-verified-tokens"
MAX_BODY_BYTES = 8 * 1024 * 1024
BODY_S = 30.0
STATUSES = {"model_not_found": 404, "gateway_unreachable": 503, PRIVACY_CLASS: 403}
"""HTTP status of a refusal by its code; 400 for the others."""


class DeviceApi:
    """The OpenAI API that the agent serves. `membership` is None where the device only drafts.
    `least_privacy`: the class of requests that name none; no request has a more open one."""

    def __init__(
        self,
        *,
        router: AnswerRouter,
        gateway: GatewayProxy,
        metrics: AgentMetrics,
        least_privacy: Privacy,
        membership: Membership | None = None,
    ) -> None:
        self._router = router
        self._gateway = gateway
        self._metrics = metrics
        self._least_privacy = least_privacy
        self._membership = membership

    def app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        return Starlette(
            routes=[
                HttpRoute("/v1/chat/completions", self.chat, methods=["POST"]),
                HttpRoute("/v1/completions", self.completions, methods=["POST"]),
                HttpRoute(STREAMS + "/{stream}", self.streams, methods=["GET", "DELETE"]),
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

    async def streams(self, http: HttpRequest) -> Response:
        """A caller that asked for a resumable stream comes back to it."""
        try:
            return await self._gateway.resume(http, http.path_params["stream"])
        except BadRequest as exc:
            return _refused(exc)

    async def _infer(self, http: HttpRequest, chat: bool) -> Response:
        router, drafter = self._router, self._router.thread.drafter
        try:
            check_headers(http.headers)
            content = _json(await _read(http))
            body = read_body(content)
            privacy = privacy_class(http.headers, self._least_privacy)
            fields = server_only_fields(content)
            if needs_link(body.model, drafter.name, fields):
                await router.settle()
            placement = placement_for(body.model, drafter.name, self._served())
            if fields:
                if privacy != "public" and not router.offers(placement, body.model, privacy):
                    raise _stays_here(fields, privacy)
                return await self._gateway.forward(
                    http, content, placement=placement, fields=fields, privacy=privacy
                )
            request = api_request(
                body,
                http.headers,
                chat=chat,
                placement=placement,
                model=router.model,
                context=drafter.context,
                privacy=privacy,
            )
            route = router.route(placement, body.model, privacy)
            work = self._stream if request.stream else self._whole
            return await cancel_on_disconnect(http, work(request, route))
        except BadRequest as exc:
            return _refused(exc)
        except RequestRefused as exc:
            return _refused(BadRequest(str(exc), _field_at_fault(exc, chat), exc.code))
        except DrafterFailed as exc:
            return JSONResponse(
                error_body(str(exc), "server_error", None, "drafter_failed"), status_code=503
            )

    async def _whole(self, request: ApiRequest, route: AnswerRoute) -> Response:
        report = AnswerReport(placement=route.placement)
        text = self._text(request)
        texts = []
        answer = self._router.answer(request.generation, route, report)
        async with aclosing(answer):
            async for piece in answer:
                report.token_ids += piece.token_ids
                texts.append(text.feed(piece.token_ids))
                if _ends_locally(text, piece, report):
                    break
        content = "".join(texts) + text.finish()
        return JSONResponse(
            ResponseWriter(request).whole(content, report),
            headers={VERIFIED_HEADER: str(report.verified_tokens)},
        )

    async def _stream(self, request: ApiRequest, route: AnswerRoute) -> Response:
        """Begins with the first tokens, so that a refusal before them has an HTTP status."""
        report = AnswerReport(placement=route.placement)
        answer = self._router.answer(request.generation, route, report)
        try:
            first = await anext(answer, None)
        except BaseException:
            await answer.aclose()
            raise
        events = self._events(request, report, _chain(first, answer))
        return StreamingResponse(events, media_type="text/event-stream")

    async def _events(
        self, request: ApiRequest, report: AnswerReport, answer: AsyncGenerator[AnswerPiece]
    ) -> AsyncIterator[bytes]:
        writer = ResponseWriter(request)
        text = self._text(request)
        try:
            if opening := writer.first():
                yield opening
            async for piece in answer:
                # With marks each chunk has one origin, so that clients can tell its text apart.
                for part in piece.split_by_origin() if request.marks else (piece,):
                    new = text.feed(part.token_ids)
                    if new or request.token_ids or request.marks:
                        yield writer.piece(new, part)
                if _ends_locally(text, piece, report):
                    break
            if rest := text.finish():
                yield writer.piece(rest, None)
            yield writer.last(report)
        except RequestRefused as exc:
            yield writer.error(error_body(str(exc), "invalid_request_error", None, exc.code))
        except DrafterFailed as exc:
            yield writer.error(error_body(str(exc), "server_error", None, "drafter_failed"))
        finally:
            await answer.aclose()

    def _text(self, request: ApiRequest) -> TextStream:
        return TextStream(self._router.model.tokenizer, request.generation.sampling.stop)

    async def models(self, http: HttpRequest) -> Response:
        names = [*VIRTUAL_MODELS, self._router.thread.drafter.name, *self._served()]
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
        link = self._router.link
        return {name: offer.tier for name, offer in link.models.items()} if link else {}

    async def health(self, http: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, http: HttpRequest) -> Response:
        """Always ready, as the device can answer alone; a lost link is a condition."""
        link = self._router.link
        problem = link.problem if link else None
        conditions = {"link-lost": problem} if problem else {}
        member = self._membership
        reason = "the agent has no gateway" if link is None else "--no-member: it only drafts"
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


def _stays_here(fields: list[str], privacy: Privacy) -> BadRequest:
    return BadRequest(
        f"{', '.join(fields)}: only servers support this, and none of them may see a request of "
        f"the class {privacy}",
        fields[0],
        PRIVACY_CLASS,
    )


def _refused(exc: BadRequest) -> Response:
    status = STATUSES.get(exc.code or "", 400)
    kind = "invalid_request_error" if status < 500 else "server_error"
    kind = "permission_error" if status == 403 else kind
    return JSONResponse(error_body(str(exc), kind, exc.param, exc.code), status)


async def _chain(
    first: AnswerPiece | None, rest: AsyncGenerator[AnswerPiece]
) -> AsyncGenerator[AnswerPiece]:
    async with aclosing(rest):
        if first is not None:
            yield first
            async for piece in rest:
                yield piece


def _ends_locally(text: TextStream, piece: AnswerPiece, report: AnswerReport) -> bool:
    """Whether a stop text ends an answer of the device alone; a server ends its own."""
    if text.stopped is None or piece.origins[0] != "device":
        return False
    report.finish_reason = "stop"
    return True


def _field_at_fault(refused: RequestRefused, chat: bool) -> str | None:
    if refused.code == PRIVACY_CLASS:
        return PRIVACY
    if refused.code in ("context_length_exceeded", "prompt_too_long"):
        return "messages" if chat else "prompt"
    return "model" if refused.code in ("tokenizer_differs", "model_not_found") else None


async def _read(http: HttpRequest) -> bytes:
    """The body. Raises BadRequest where it is too large or does not arrive."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in http.stream():
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise BadRequest(f"the body has more than {MAX_BODY_BYTES} bytes")
                pieces.append(piece)
    except TimeoutError as exc:
        raise BadRequest(f"the body did not arrive in {BODY_S:g} s") from exc
    return b"".join(pieces)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the body is not JSON: {exc}") from exc
