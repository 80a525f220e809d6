"""A TCP proxy before an engine that cuts its streams: in the middle of an event, without a word."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_EVENT = re.compile(rb"data: \{")
_HALF = 20
_PATIENCE_S = 60.0


@dataclass
class CuttingProxy:
    """`after`: events that a stream has until its connection is cut, None: it never is. `times`: so
    many streams are cut, the first ones. `cuts` counts them. `silent`: nothing is closed; nothing
    comes any more."""

    url: str
    after: int | None = None
    times: int = 0
    cuts: int = 0
    silent: bool = False

    def cut(self, after: int, times: int = 1) -> None:
        self.after, self.times, self.cuts, self.silent = after, times, 0, False

    def stall(self, after: int, times: int = 1) -> None:
        self.cut(after, times)
        self.silent = True

    def heal(self) -> None:
        self.after = None


@contextmanager
def cutting_proxy(engine_url: str) -> Iterator[CuttingProxy]:
    """Before the engine, until the block ends."""
    host, _, port = engine_url.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = CuttingProxy(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def accept() -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=_serve, args=(proxy, caller, (host, int(port)))).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _serve(proxy: CuttingProxy, caller: socket.socket, engine: tuple[str, int]) -> None:
    with caller, socket.create_connection(engine) as behind:
        seen = _Seen()
        threading.Thread(target=_pump, args=(caller, behind, seen), daemon=True).start()
        with suppress(OSError):
            while data := behind.recv(1 << 16):
                begins = [match.start() for match in _EVENT.finditer(data)]
                last = None if proxy.after is None else proxy.after - seen.events
                seen.events += len(begins)
                if last is not None and 0 <= last < len(begins) and proxy.cuts < proxy.times:
                    proxy.cuts += 1
                    caller.sendall(data[: begins[last] + _HALF])
                    if proxy.silent:
                        seen.gone.wait(_PATIENCE_S)
                    break
                caller.sendall(data)
        for each in (caller, behind):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@dataclass
class _Seen:
    """The events of the answer that a connection carries now."""

    events: int = 0
    gone: threading.Event = field(default_factory=threading.Event)


def _pump(source: socket.socket, to: socket.socket, seen: _Seen) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if data.startswith((b"POST ", b"GET ")):
                seen.events = 0
            to.sendall(data)
    seen.gone.set()
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
