"""An engine that answers at once with canned text: what remains is the cost of what is before it.

One epoll loop without a framework, so that it takes as little as possible of the core that it
shares with the load generator. It speaks enough of vLLM's API to stand behind the gateway, and
streams as the request's `canned` field says:

- `burst`: all chunks in one write;
- `flush` (also without the field): one write per chunk, without a pause;
- `paced`: one chunk per interval.

Each chunk carries its time of sending (nanoseconds of CLOCK_MONOTONIC) as `sent_ns`, and its token
id where the request asks for `return_token_ids`; the first chunk then has the prompt's. As many
chunks as the request's `max_tokens` are sent. It is for benchmarks only. A client that stops
reading holds up nobody: what it has not read waits for it, up to 64 MiB.
"""

from __future__ import annotations

import argparse
import heapq
import re
import select
import signal
import socket
from collections.abc import Callable
from time import monotonic_ns

MODEL = "canned"
TEXT = "The answer is written here in a few plain words. " * 6

MAX_UNREAD = 64 * 1024 * 1024
"""Bytes that wait for a client that does not read; with more it loses its connection."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MAX_TOKENS = re.compile(rb'"max_tokens": ?(\d+)')
_CANNED = re.compile(rb'"canned": ?"(\w+)"')
_STREAM = re.compile(rb'"stream": ?true')
_IDS = re.compile(rb'"return_token_ids": ?true')

_CHUNK = (
    b'data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk",'
    b'"created":1750000000,"model":"canned","choices":[{"index":0,"delta":{"content":" word"},'
    b'"logprobs":null,"finish_reason":%b,"token_ids":%b}],"sent_ns":%d%b}\n\n'
)
_NO_IDS, _ONE_ID = b"null", b"[356]"
_GOES_ON, _LENGTH_REACHED = b"null", b'"length"'
_PROMPT_IDS = b',"prompt_token_ids":[%b]' % b",".join(b"%d" % (300 + place) for place in range(300))
_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_ANSWER = (
    b'{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1750000000,'
    b'"model":"canned","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},'
    b'"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":300,"total_tokens":364,"completion_tokens":64}}'
) % TEXT.encode()
_MODELS = b'{"object":"list","data":[{"id":"canned","object":"model","max_model_len":131072}]}'
_METRICS = b'vllm:num_requests_running{engine="0"} 0.0\nvllm:num_requests_waiting{engine="0"} 0.0\n'


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


_GET = {b"/health": _whole(b""), b"/v1/models": _whole(_MODELS), b"/metrics": _whole(_METRICS)}
_NOT_FOUND = _whole(b'{"error":{"message":"not here"}}', b"404 Not Found")
_WHOLE_ANSWER = _whole(_ANSWER)
_POST = (b"/v1/chat/completions", b"/v1/completions")


def chunk(ids: bytes = _NO_IDS, prompt_ids: bytes = b"", *, last: bool = False) -> bytes:
    """One token's event, stamped with the present time, as one HTTP chunk."""
    reason = _LENGTH_REACHED if last else _GOES_ON
    event = _CHUNK % (reason, ids, monotonic_ns(), prompt_ids)
    return b"%x\r\n%s\r\n" % (len(event), event)


class CannedEngine:
    """The server, one loop over all connections; `interval_ns` lies between two paced chunks."""

    def __init__(self, listener: socket.socket, interval_ns: int) -> None:
        self._listener = listener
        self._interval_ns = interval_ns
        self._sockets: dict[int, socket.socket] = {}
        self._received: dict[int, bytes] = {}
        self._unsent: dict[int, bytearray] = {}
        """What clients have not room for yet."""
        self._ids: dict[int, bytes] = {}
        """The token ids of each chunk, by the connection's file descriptor."""
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)
        self._due: list[tuple[int, int, int]] = []
        """The paced streams: (time of the next chunk in ns, file descriptor, remaining chunks)."""

    def serve(self) -> None:
        """Serve until a signal ends the process."""
        while True:
            for fd, events in self._poll.poll(self._wait_s()):
                if fd == self._listener.fileno():
                    self._accept()
                    continue
                if events & select.EPOLLOUT:
                    self._guarded(self._flush, fd)
                if events & ~select.EPOLLOUT and fd in self._sockets:
                    self._guarded(self._readable, fd)
            while self._due and self._due[0][0] <= monotonic_ns():
                due_ns, fd, remaining = heapq.heappop(self._due)
                if fd in self._sockets:
                    self._guarded(self._pace, fd, due_ns, remaining)

    def _wait_s(self) -> float:
        return max(0.0, (self._due[0][0] - monotonic_ns()) / 1e9) if self._due else -1.0

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        self._sockets[client.fileno()] = client
        self._received[client.fileno()] = b""
        self._poll.register(client.fileno(), select.EPOLLIN)

    def _guarded(self, handler: Callable[..., None], fd: int, *arguments: int) -> None:
        try:
            handler(fd, *arguments)
        except OSError:
            self._close(fd)

    def _readable(self, fd: int) -> None:
        data = self._sockets[fd].recv(2**18)
        if not data:
            self._close(fd)
            return
        data = self._received[fd] + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        total = end + 4 + (int(length[1]) if length else 0)
        if end < 0 or len(data) < total:
            self._received[fd] = data
            return
        self._received[fd] = b""
        self._answer(fd, data)

    def _answer(self, fd: int, request: bytes) -> None:
        method, path = request.split(b" ", 2)[:2]
        if method == b"GET" or path not in _POST:
            self._send(fd, _GET.get(path, _NOT_FOUND))
        elif not _STREAM.search(request):
            self._send(fd, _WHOLE_ANSWER)
        else:
            self._stream(fd, request)

    def _stream(self, fd: int, request: bytes) -> None:
        limit, canned = _MAX_TOKENS.search(request), _CANNED.search(request)
        chunks = int(limit[1]) if limit else 64
        mode = canned[1] if canned else b"flush"
        asked = _IDS.search(request) is not None
        ids = self._ids[fd] = _ONE_ID if asked else _NO_IDS
        first = chunk(ids, _PROMPT_IDS if asked else b"", last=chunks == 1)
        if mode == b"burst":
            rest = chunk(ids) * (chunks - 2) + chunk(ids, last=True) if chunks > 1 else b""
            self._send(fd, _STREAM_HEAD + first + rest + _END)
        elif mode == b"paced":
            self._send(fd, _STREAM_HEAD + first)
            self._schedule(fd, monotonic_ns(), chunks - 1)
        else:
            self._send(fd, _STREAM_HEAD + first)
            for place in range(1, chunks):
                self._send(fd, chunk(ids, last=place == chunks - 1))
            self._send(fd, _END)

    def _pace(self, fd: int, due_ns: int, remaining: int) -> None:
        if remaining == 0:
            self._send(fd, _END)
            return
        self._send(fd, chunk(self._ids[fd], last=remaining == 1))
        self._schedule(fd, due_ns, remaining - 1)

    def _send(self, fd: int, data: bytes) -> None:
        """Raises OSError for a client that has gone, or does not read."""
        unsent = self._unsent.get(fd)
        if unsent is None:
            try:
                data = data[self._sockets[fd].send(data) :]
            except BlockingIOError:
                pass
            if not data:
                return
            unsent = self._unsent[fd] = bytearray()
            self._poll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
        unsent += data
        if len(unsent) > MAX_UNREAD:
            raise BrokenPipeError

    def _flush(self, fd: int) -> None:
        unsent = self._unsent[fd]
        del unsent[: self._sockets[fd].send(unsent)]
        if not unsent:
            del self._unsent[fd]
            self._poll.modify(fd, select.EPOLLIN)

    def _schedule(self, fd: int, now_ns: int, remaining: int) -> None:
        heapq.heappush(self._due, (now_ns + self._interval_ns, fd, remaining))

    def _close(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._received.pop(fd)
        self._unsent.pop(fd, None)
        self._ids.pop(fd, None)
        self._sockets.pop(fd).close()
        # The number may be given to a new connection: its old chunks must not follow.
        self._due = [entry for entry in self._due if entry[1] != fd]
        heapq.heapify(self._due)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.canned_engine")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--interval-ms", type=float, default=5.0, help="between paced chunks")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with socket.create_server(("127.0.0.1", arguments.port), backlog=1024) as listener:
        CannedEngine(listener, int(arguments.interval_ms * 1e6)).serve()


if __name__ == "__main__":
    main()
