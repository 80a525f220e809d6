"""The routes of the device's API: inference, models, health, metrics."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as HttpRoute
from starlette.types import Lifespan

from gateway.protocol.headers import REQUEST_ID, harmless_id
from gateway.protocol.paths import CHAT, COMPLETIONS, ROUTES, STREAMS
from gateway.protocol.speculation import Privacy
from services.device_agent.answers.answer import AnswerPiece, AnswerReport
from services.device_agent.answers.answer_router import (
    GATEWAY,
    ON_DEVICE,
    AnswerRoute,
    AnswerRouter,
)
from services.device_agent.answers.verified_answer import RequestRefused
from services.device_agent.api.client_disconnect import cancel_on_disconnect
from services.device_agent.api.gateway_proxy import GatewayProxy, NotAnswered
from services.device_agent.api.operations import DeviceOperations
from services.device_agent.api.refusals import (
    field_at_fault,
    framework_error,
    in_callers_words,
    internal_error,
    refused,
    stays_here,
)
from services.device_agent.api.requests import (
    ApiRequest,
    BadRequest,
    api_request,
    check_headers,
    fields_beyond_frames,
    needs_link,
    placement_for,
    privacy_class,
    read_body,
    server_only_fields,
)
from services.device_agent.api.responses import ResponseWriter, error_body
from services.device_agent.conditions import AgentConditions
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.membership.registration import Membership
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import TextStream

VERIFIED_HEADER = "x-tierflow-verified-tokens"
MAX_BODY_BYTES = 8 * 1024 * 1024
BODY_S = 30.0
PASSED_ON = tuple(
    path for path, route in ROUTES.items() if not route.form and path not in (CHAT, COMPLETIONS)
)
"""The gateway's routes that the device itself does not have, with a body in JSON."""


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
        conditions: AgentConditions,
        membership: Membership | None = None,
        reason: str = "",
    ) -> None:
        self._router = router
        self._gateway = gateway
        self._least_privacy = least_privacy
        self._operations = DeviceOperations(
            router=router,
            metrics=metrics,
            membership=membership,
            reason=reason,
            conditions=conditions,
        )

    def app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        return Starlette(
            routes=[
                HttpRoute(CHAT, self.chat, methods=["POST"]),
                HttpRoute(COMPLETIONS, self.completions, methods=["POST"]),
                HttpRoute(STREAMS + "/{stream}", self.streams, methods=["GET", "DELETE"]),
                *(HttpRoute(path, self.servers_only, methods=["POST"]) for path in PASSED_ON),
                *self._operations.routes(),
            ],
            exception_handlers={HTTPException: framework_error, Exception: internal_error},
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
            return refused(exc)

    async def _infer(self, http: HttpRequest, chat: bool) -> Response:
        return await self._told(http, lambda id: self._answer(http, id, chat=chat))

    async def servers_only(self, http: HttpRequest) -> Response:
        """A route that the device itself does not have."""
        return await self._told(http, lambda id: self._forward(http, id))

    async def _told(
        self, http: HttpRequest, answer: Callable[[str], Awaitable[Response]]
    ) -> Response:
        """The answer to the request of this id, or what is wrong with the request."""
        id = harmless_id(http.headers.get(REQUEST_ID, "")) or uuid.uuid4().hex
        try:
            response = await answer(id)
        except BadRequest as exc:
            response = refused(exc)
        except RequestRefused as exc:
            response = refused(BadRequest(str(exc), field_at_fault(exc, http.url.path), exc.code))
        except DrafterFailed as exc:
            response = refused(BadRequest(str(exc), None, "drafter_failed"))
        response.headers[REQUEST_ID] = id
        return response

    async def _answer(self, http: HttpRequest, id: str, *, chat: bool) -> Response:
        router, drafter = self._router, self._router.thread.drafter
        check_headers(http.headers)
        content = _json(await _read(http))
        body = read_body(content)
        privacy = privacy_class(http.headers, self._least_privacy)
        fields = server_only_fields(content)
        if needs_link(body.model, drafter.name, fields):
            await router.settle()
        linked = router.link is not None and router.link.up
        placement = placement_for(
            body.model, drafter.name, router.served(), has_gateway=router.link is not None
        )
        if chat and not router.model.chats and placement != ON_DEVICE and router.link is not None:
            # A server has a template, perhaps.
            fields.append("messages")
        if fields and (placement == ON_DEVICE or router.link is None):
            raise BadRequest(
                f"{', '.join(fields)}: the device does not support this; ask a server's model",
                fields[0],
            )
        beyond = placement != ON_DEVICE and (
            bool(fields_beyond_frames(body)) or router.has_foreign_tokenizer(body.model)
        )
        route = None
        if fields or (linked and (beyond or placement == GATEWAY)):
            if privacy == "public" or router.offers(placement, body.model, privacy):
                try:
                    return await self._gateway.forward(
                        http, content, fields=fields, privacy=privacy, request_id=id
                    )
                except NotAnswered as exc:
                    route = AnswerRoute(ON_DEVICE, degraded=str(exc))
            elif fields:
                raise stays_here(fields, privacy)
            elif beyond:
                route = AnswerRoute(ON_DEVICE)
        request = api_request(
            body,
            http.headers,
            chat=chat,
            placement=placement,
            model=router.model,
            context=drafter.context,
            privacy=privacy,
            request_id=id,
        )
        route = route or router.route(placement, body.model, privacy)
        work = self._stream if request.stream else self._whole
        try:
            return await cancel_on_disconnect(http, work(request, route))
        except RequestRefused as exc:
            raise in_callers_words(exc, body) from exc

    async def _forward(self, http: HttpRequest, id: str) -> Response:
        router, path = self._router, http.url.path
        check_headers(http.headers)
        content = _json(await _read(http))
        if not isinstance(content, dict) or not isinstance(content.get("model"), str):
            raise BadRequest("model: must be text, such as the name of a served model", "model")
        privacy = privacy_class(http.headers, self._least_privacy)
        if router.link is None:
            raise BadRequest(f"{path}: the agent has no gateway", None, "not_found")
        if privacy != "public" and not router.offers(GATEWAY, content["model"], privacy):
            raise stays_here([path], privacy)
        return await self._gateway.forward(
            http, content, fields=[path], privacy=privacy, request_id=id
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
        report.stop_reason = text.stopped if report.stop_reason is None else report.stop_reason
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
            if opening := writer.first(report):
                yield opening
            async for piece in answer:
                # With marks each chunk has one origin, so that clients can tell its text apart.
                for part in piece.split_by_origin() if request.marks else (piece,):
                    new = text.feed(part.token_ids)
                    if new or request.token_ids or request.marks:
                        yield writer.piece(new, part, report)
                if _ends_locally(text, piece, report):
                    break
            if rest := text.finish():
                yield writer.piece(rest, None, report)
            if report.stop_reason is None:
                report.stop_reason = text.stopped
            yield writer.last(report)
        except RequestRefused as exc:
            yield writer.error(error_body(str(exc), "invalid_request_error", None, exc.code))
        except DrafterFailed as exc:
            yield writer.error(error_body(str(exc), "server_error", None, "drafter_failed"))
        finally:
            await answer.aclose()

    def _text(self, request: ApiRequest) -> TextStream:
        return TextStream(self._router.model.tokenizer, request.generation.sampling.stop)


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
