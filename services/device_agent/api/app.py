"""The routes of the device's API: inference, models, health, metrics."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from gateway.protocol.device_link.speculation import Privacy
from gateway.protocol.paths import CHAT, COMPLETIONS
from services.device_agent.answers.answer import AnswerPiece, AnswerReport
from services.device_agent.answers.answer_route import GATEWAY, ON_DEVICE, AnswerRoute
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.answers.problems import RequestRefused
from services.device_agent.api.body_reader import read_fields
from services.device_agent.api.client_disconnect import cancel_on_disconnect
from services.device_agent.api.gateway_proxy import GatewayProxy, NotAnswered
from services.device_agent.api.operations import DeviceOperations
from services.device_agent.api.passed_routes import PassedRoutes
from services.device_agent.api.refusals import (
    answered,
    framework_error,
    in_callers_words,
    internal_error,
    stays_here,
)
from services.device_agent.api.requests import (
    ApiRequest,
    BadRequest,
    api_request,
    check_header_values,
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


class TrailingSlashes:
    """What leads to a route that is asked with a slash at the end of its path: on a redirect, many
    clients lose the body."""

    def __init__(self, app: ASGIApp, routes: Sequence[HttpRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := scope["path"])[-1:] == "/" and path[-2:] != "//":
            if any(route.path_regex.match(path[:-1]) for route in self._routes):
                scope = {**scope, "path": path[:-1]}
        await self._app(scope, receive, send)


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
        self._passed = PassedRoutes(router=router, gateway=gateway, least_privacy=least_privacy)
        self._operations = DeviceOperations(
            router=router,
            metrics=metrics,
            membership=membership,
            reason=reason,
            conditions=conditions,
        )

    def app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        routes = [
            HttpRoute(CHAT, self.chat, methods=["POST"]),
            HttpRoute(COMPLETIONS, self.completions, methods=["POST"]),
            *self._passed.routes(),
            *self._operations.routes(),
        ]
        app = Starlette(
            routes=routes,
            middleware=[Middleware(TrailingSlashes, routes)],
            exception_handlers={HTTPException: framework_error, Exception: internal_error},
            lifespan=lifespan,
        )
        app.router.redirect_slashes = False
        return app

    async def chat(self, http: HttpRequest) -> Response:
        return await self._infer(http, chat=True)

    async def completions(self, http: HttpRequest) -> Response:
        return await self._infer(http, chat=False)

    async def _infer(self, http: HttpRequest, chat: bool) -> Response:
        return await answered(http, lambda id: self._answer(http, id, chat=chat))

    async def _answer(self, http: HttpRequest, id: str, *, chat: bool) -> Response:
        router, drafter = self._router, self._router.thread.drafter
        check_headers(http.headers)
        content = await read_fields(http)
        check_header_values(http.headers)
        privacy = privacy_class(http.headers, self._least_privacy)
        body = read_body(content, chat=chat)
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
                    route = AnswerRoute(placement=ON_DEVICE, degraded=str(exc))
            elif fields:
                raise stays_here(fields, privacy)
            elif beyond:
                route = AnswerRoute(placement=ON_DEVICE)
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
