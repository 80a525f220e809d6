"""An API server's stand-in: EndpointSlices over real HTTP, with versions, watches and failures.

It keeps what a real one keeps: each change gets the next resourceVersion, a watch begins after the
version that it is asked for, and one from before `forget` is told by an event of code 410 within an
answer of 200. One that has just been started may know no roles for a while (`warm_up`). Labels
select.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from gateway.protocol.backoff import pause_s

PATH = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
Object = dict[str, Any]
_Watch = tuple[web.Request, asyncio.Queue[bytes | None]]


def shortest_pause_s(failures: int) -> float:
    """The pause of a watcher that lost its API server, in seconds."""
    return pause_s(failures, 0.0, first_s=0.2, longest_s=10.0)


def pod(
    address: str,
    ready: bool | None = True,
    *,
    uid: str = "",
    serving: bool | None = None,
    terminating: bool | None = None,
) -> Object:
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    member: Object = {"addresses": [address], "conditions": conditions}
    return {**member, "targetRef": {"kind": "Pod", "uid": uid}} if uid else member


def endpoint_slice(
    name: str,
    *pods: Object,
    port: int = 8000,
    pool: str = "edge",
    tier: str = "edge",
    model: str | None = None,
    address_type: str = "IPv4",
    drafts: int | None = None,
    labels: Mapping[str, str] | None = None,
    namespace: str = "tierflow",
) -> Object:
    own = {"app.kubernetes.io/part-of": "tierflow", "tierflow.dev/pool": pool}
    own["tierflow.dev/tier"] = tier
    if model:
        own["tierflow.dev/model"] = model
    ports = [{"name": "http", "port": port, "protocol": "TCP"}]
    if drafts is not None:
        ports.append({"name": "drafts", "port": drafts, "protocol": "TCP"})
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": own | dict(labels or {})},
        "addressType": address_type,
        "endpoints": list(pods),
        "ports": ports,
    }


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """One request: `verb` is list or watch, `version` what it starts from."""

    verb: str
    namespace: str
    version: str
    bookmarks: bool
    token: str


@dataclass(kw_only=True)
class ApiServer:
    """`refuse` (a status) and `say` (its message) stand for every answer, or for `refuse_watches`
    only; `warm_up` requests are refused before the roles are known; `page` is the refusal of
    something before the API server; `token` is what callers must bring; `gone_as_event` False
    tells an expiry by the answer's status, as an API server without a cache of watches does;
    `first_line` is what every watch is told before it ends; `silent` takes requests and never
    answers.
    """

    port: int = 0
    refuse: int | None = None
    refuse_watches: int | None = None
    say: str = "no"
    page: str | None = None
    token: str | None = None
    warm_up: int = 0
    gone_as_event: bool = True
    first_line: bytes | None = None
    silent: bool = False
    tls: ssl.SSLContext | None = None
    requests: list[ApiRequest] = field(default_factory=list)
    _version: int = 100
    _oldest: int = 0
    _objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    _history: list[tuple[int, str, Object, Object]] = field(default_factory=list)
    _watches: list[_Watch] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def watches(self) -> int:
        return len(self._watches)

    def count(self, verb: str) -> int:
        return sum(each.verb == verb for each in self.requests)

    def put(self, item: Object) -> None:
        """Create it or change it."""
        key = item["metadata"]["namespace"], item["metadata"]["name"]
        old = self._objects.get(key)
        self._version += 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
        self._objects[key] = item
        self._tell("MODIFIED" if old else "ADDED", item, old or item)

    def delete(self, name: str, namespace: str = "tierflow") -> None:
        old = self._objects.pop((namespace, name))
        self._version += 1
        meta = {**old["metadata"], "resourceVersion": str(self._version)}
        self._tell("DELETED", {**old, "metadata": meta}, old)

    def forget(self) -> None:
        """What was before now can't be watched from any more."""
        self._version += 1
        self._oldest = self._version

    def bookmark(self) -> None:
        for _, queue in self._watches:
            meta = {"resourceVersion": str(self._version)}
            queue.put_nowait(_line("BOOKMARK", {"kind": "EndpointSlice", "metadata": meta}))

    def interject(self, line: bytes) -> None:
        """Say something to every watch that no API server should."""
        for _, queue in self._watches:
            queue.put_nowait(line)

    def drop(self) -> None:
        """Break every watch in the middle of a line."""
        for request, queue in self._watches:
            queue.put_nowait(b'{"type": "ADD')
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, _abort, request)
        self._watches.clear()

    def end(self) -> None:
        """End every watch as after its time."""
        for _, queue in self._watches:
            queue.put_nowait(None)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=self.tls
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Gone: connections are refused until the next `start`, on the same port."""
        self.end()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self, folder: Path, token: str = "secret", namespace: str = "tierflow") -> Path:
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "contexts": [
                        {
                            "name": "here",
                            "context": {"cluster": "c", "user": "u", "namespace": namespace},
                        }
                    ],
                    "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": token}}],
                }
            )
        )
        return path

    def _tell(self, kind: str, item: Object, old: Object) -> None:
        self._history.append((self._version, kind, item, old))
        for request, queue in self._watches:
            if line := _event(kind, item, old, request):
                queue.put_nowait(line)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        watch = query.get("watch", "").lower() in ("true", "1")
        token = request.headers.get("Authorization", "").partition(" ")[2]
        version = query.get("resourceVersion", "")
        bookmarks = query.get("allowWatchBookmarks", "").lower() in ("true", "1")
        verb = "watch" if watch else "list"
        self.requests.append(
            ApiRequest(
                verb=verb,
                namespace=request.match_info["namespace"],
                version=version,
                bookmarks=bookmarks,
                token=token,
            )
        )
        if self.silent:
            await asyncio.Event().wait()
        if self.token is not None and token != self.token:
            return _status(401, "Unauthorized")
        if self.warm_up:
            self.warm_up -= 1
            return _status(403, _no_roles(verb, request.match_info["namespace"]))
        if self.refuse is not None and self.page is not None:
            return web.Response(text=self.page, status=self.refuse, content_type="text/html")
        if self.refuse is not None:
            return _status(self.refuse, self.say)
        if not watch:
            return self._listing(request)
        if self.refuse_watches is not None:
            return _status(self.refuse_watches, self.say)
        return await self._watching(request, int(version or 0))

    def _listing(self, request: web.Request) -> web.Response:
        items = [item for item in self._objects.values() if _selects(request, item)]
        meta = {"resourceVersion": str(self._version)}
        return web.json_response({"kind": "EndpointSliceList", "metadata": meta, "items": items})

    async def _watching(self, request: web.Request, version: int) -> web.StreamResponse:
        expired = version < self._oldest
        gone = f"too old resource version: {version} ({self._oldest})"
        if expired and not self.gone_as_event:
            return _status(410, gone)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if expired:
            await response.write(_line("ERROR", _body(410, gone)))
            return response
        if self.first_line is not None:
            await response.write(self.first_line)
            return response
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for at, kind, item, old in self._history:
            if at > version and (line := _event(kind, item, old, request)):
                queue.put_nowait(line)
        watch = request, queue
        self._watches.append(watch)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "300"))):
                while (line := await queue.get()) is not None:
                    await response.write(line)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if watch in self._watches:
                self._watches.remove(watch)
        return response


@asynccontextmanager
async def running_api_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[ApiServer]:
    server = ApiServer(tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _event(kind: str, item: Object, old: Object, request: web.Request) -> bytes | None:
    """As this watch sees it: what leaves its selection is deleted, what comes into it is added."""
    now, before = _selects(request, item), _selects(request, old)
    if kind == "MODIFIED" and now != before:
        kind = "ADDED" if now else "DELETED"
    return _line(kind, item) if now or before else None


def _selects(request: web.Request, item: Object) -> bool:
    if item["metadata"]["namespace"] != request.match_info["namespace"]:
        return False
    labels: Mapping[str, str] = item["metadata"]["labels"]
    wanted: Sequence[str] = request.query.get("labelSelector", "").split(",")
    return all(_matches(term, labels) for term in wanted if term)


def _matches(term: str, labels: Mapping[str, str]) -> bool:
    name, equals, value = term.partition("=")
    return labels.get(name) == value if equals else name in labels


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _body(code: int, message: str) -> Object:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}


def _no_roles(verb: str, namespace: str) -> str:
    kind = "endpointslices.discovery.k8s.io"
    return (
        f'{kind} is forbidden: User "system:serviceaccount:tierflow:gateway" cannot {verb} '
        'resource "endpointslices" in API group "discovery.k8s.io" in the namespace '
        f'"{namespace}": RBAC: role.rbac.authorization.k8s.io "gateway" not found'
    )


def _status(code: int, message: str) -> web.Response:
    return web.json_response(_body(code, message), status=code)
