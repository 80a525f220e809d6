"""Connections that are no good, too many or too slow end, and the others notice nothing."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import orjson
import pytest

from gateway.api.error_codes import HTTP_ERRORS
from gateway.protocol.device_link.speculation import PATH
from tests.integration.limits.raw import RawAnswer, connect, rest, send
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

MAX = 300
ORIGIN = "https://app.example.org"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
BODY = b'{"model":"rill-edge","messages":[{"role":"user","content":"hi"}],"max_tokens":2}'
TOKEN = b"a device's token that is long enough"
GET = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its limits of time are short, and loopback is as any other address."""
    folder = tmp_path_factory.mktemp("limits")
    with ExitStack() as stack:
        engine = start_simulator("rill-edge", folder, "--unpaced")
        stack.callback(engine.stop)
        server = start_gateway(
            {
                "pools": {"edge": {"tier": "edge", "endpoints": [engine.url]}},
                "devices": {"tokens": {"phone": hashlib.sha256(TOKEN).hexdigest()}},
                "timeouts": {"body_s": 1, "body_bytes_per_s": 1000, "idle_s": 1},
                "connections": {"headers_s": 1, "max_per_address": MAX, "exempt": []},
                "listen": {"allowed_origins": [ORIGIN]},
            },
            folder,
        )
        stack.callback(server.stop)
        yield server


def code_of(answer: RawAnswer) -> str:
    code: str = orjson.loads(answer.body)["error"]["code"]
    return code


@pytest.mark.parametrize(
    "request_bytes",
    [
        CHUNKED + b"content-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        POST + b"content-length: 3, 3\r\n\r\nabc",
        POST + b"content-length: +3\r\n\r\nabc",
        POST + b"content-length : 3\r\n\r\nabc",
        POST + b"transfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        CHUNKED.replace(b"1.1", b"1.0") + b"\r\n3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"\r\n3\nabc\n0\n\n",
        CHUNKED + b"\r\n3\r\nabc\r\n0\r\ncontent-length: 5\r\n\r\n",
        POST + b"x: a\r\n b\r\n\r\n",
        b"GET /health HTTP/1.1\nhost: localhost\n\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\nx: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\rx: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_a_request_that_can_be_read_in_two_ways_is_refused(
    gateway: Server, request_bytes: bytes
) -> None:
    answer = await send(gateway, request_bytes)
    assert (answer.status, code_of(answer)) == (400, "invalid_http")
    assert "connection: close" in answer.head


@pytest.mark.parametrize("path", [b"POST /v1/chat/completions", b"GET /v1/models", b"GET /metrics"])
@pytest.mark.parametrize(
    "twice",
    [
        b"authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        b"x-tierflow-privacy: private\r\nX-Tierflow-Privacy: public\r\n",
    ],
)
async def test_a_header_that_two_could_read_differently_is_taken_once(
    gateway: Server, path: bytes, twice: bytes
) -> None:
    answer = await send(gateway, path + b" HTTP/1.1\r\nhost: localhost\r\n" + twice + b"\r\n")
    assert (answer.status, code_of(answer)) == (400, "invalid_header")
    name = twice.partition(b":")[0].decode()
    assert orjson.loads(answer.body)["error"]["param"] == name


@pytest.mark.parametrize(
    ("pieces", "status", "code"),
    [
        (
            (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ", *[b"y" * 65536] * 40),
            431,
            "headers_too_large",
        ),
        (
            (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x: y\r\n" * 129, b"\r\n"),
            431,
            "headers_too_large",
        ),
        (
            (
                b"GET /health HTTP/1.1\r\nhost: localhost\r\n",
                *[b"x: " + b"y" * 999 + b"\r\n"] * 90,
                b"\r\n",
            ),
            431,
            "headers_too_large",
        ),
        (
            (b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",),
            414,
            "target_too_long",
        ),
    ],
    ids=["one without end", "many", "large", "target"],
)
async def test_a_head_that_is_too_large_is_refused(
    gateway: Server, pieces: tuple[bytes, ...], status: int, code: str
) -> None:
    answer = await send(gateway, *pieces)
    assert (answer.status, code_of(answer)) == (status, code)


@pytest.mark.parametrize("head", [b"GET /" + b"y" * 9000, b"GET /health"], ids=["target", "many"])
async def test_a_page_that_may_read_answers_reads_that_its_head_was_too_large(
    gateway: Server, head: bytes
) -> None:
    head += b" HTTP/1.1\r\nhost: localhost\r\norigin: %b\r\n"
    many = b"x: y\r\n" * 129 + b"\r\n" if len(head) < 100 else b"\r\n"
    known = await send(gateway, head % ORIGIN.encode() + many)
    assert known.status in (414, 431)
    assert f"access-control-allow-origin: {ORIGIN}" in known.head
    foreign = await send(gateway, head % b"https://evil.example" + many)
    assert foreign.status in (414, 431) and "access-control" not in foreign.head


async def test_extensions_and_trailers_without_end_end_the_connection(gateway: Server) -> None:
    for head in (CHUNKED + b"\r\n3;x=", CHUNKED + b"\r\n3\r\nabc\r\n0\r\nx: "):
        answer = await send(gateway, head, *[b"y" * 65536] * 40)
        assert answer.status in (0, 431)


async def test_what_follows_a_body_in_chunks_is_no_header(gateway: Server) -> None:
    size = b"%x" % len(BODY)
    answer = await send(
        gateway,
        CHUNKED + b"connection: close\r\n\r\n" + size + b"\r\n" + BODY,
        b"\r\n0\r\nx-tierflow-deadline-ms: wrong\r\n\r\n",
    )
    assert answer.status == 200


async def test_those_that_send_too_slowly_are_cut_off_and_newcomers_are_served(
    gateway: Server,
) -> None:
    """Heads without end, connections that say nothing, bodies that drip."""
    ended: list[RawAnswer] = []

    async def slow(begin: bytes, drop: bytes) -> None:
        reader, writer = await connect(gateway)
        answer = asyncio.create_task(rest(reader))
        try:
            writer.write(begin)
            while not answer.done():
                writer.write(drop)
                await writer.drain()
                await asyncio.wait([answer], timeout=0.2)
        except OSError:
            pass
        ended.append(await answer)
        writer.close()

    kinds = [
        (POST, b"x: y\r\n", 120),
        (b"", b"", 50),
        (POST + b"content-length: 999\r\n\r\n", b"{", 50),
    ]
    slow_ones = [
        asyncio.create_task(slow(begin, drop)) for begin, drop, count in kinds for _ in range(count)
    ]
    served = 0
    async with httpx.AsyncClient(base_url=gateway.url, timeout=10) as client:
        while not all(each.done() for each in slow_ones):
            answer = await client.post("/v1/chat/completions", content=BODY)
            assert answer.status_code == 200
            served += 1
    await asyncio.gather(*slow_ones)
    assert served > 3
    assert len(ended) == 220
    assert {answer.status for answer in ended} == {0, 400}
    assert gateway.metric("tierflow_refused_connections_total", reason="headers_timeout") >= 170


async def test_beyond_the_bound_a_connection_gets_an_answer_and_room_comes_back(
    gateway: Server,
) -> None:
    connections = [await connect(gateway) for _ in range(MAX)]
    answer = await send(gateway, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert (answer.status, code_of(answer)) == (503, "too_many_connections")
    assert HTTP_ERRORS["too_many_connections"].type.encode() in answer.body
    assert "retry-after: 1" in answer.head
    for _, writer in connections:
        writer.close()

    def served() -> bool:
        try:
            return httpx.get(gateway.url + "/health").status_code == 200
        except httpx.TransportError:
            return False

    eventually(served, "there is room again")
    eventually(lambda: gateway.metric("tierflow_open_connections") < 5, "all are counted off")


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "x"])
@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/embeddings", "/v1/collective/feedback", "/v1/devices/enrol"],
)
async def test_a_compressed_body_is_not_unpacked(gateway: Server, path: str, encoding: str) -> None:
    headers = {"content-encoding": encoding}
    answer = httpx.post(gateway.url + path, content=gzip.compress(b" " * 10**6), headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (415, "encoded_body")


@pytest.mark.parametrize("path", ["/v1/collective/feedback", "/v1/devices/enrol"])
async def test_a_small_route_takes_no_large_body(gateway: Server, path: str) -> None:
    answer = httpx.post(gateway.url + path, content=b" " * 10**6)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "body_too_large")


async def test_a_caller_who_leaves_in_the_middle_of_a_body_is_no_error_in_the_log(
    gateway: Server,
) -> None:
    for path in (b"/v1/collective/feedback", b"/v1/devices/enrol", b"/v1/completions"):
        _, writer = await connect(gateway)
        writer.write(
            b"POST " + path + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
    assert (await send(gateway, GET + b"connection: close\r\n\r\n")).status == 200
    assert "Traceback" not in gateway.output()
    assert not gateway.logged(event="internal_error")


async def test_a_body_on_a_slow_link_has_the_time_that_its_size_takes(gateway: Server) -> None:
    reader, writer = await connect(gateway)
    body = BODY[:-1] + b" " * 4000 + b"}"
    writer.write(POST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 1000):
        writer.write(body[start : start + 1000])
        await asyncio.sleep(0.35)
    assert (await rest(reader)).status == 200
    writer.close()


async def test_one_that_asks_for_much_and_reads_nothing_is_cut_off(gateway: Server) -> None:
    host, _, port = gateway.id.partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 30)

        def cut_off() -> bool:
            metric = "tierflow_refused_connections_total"
            return gateway.metric(metric, reason="client_stalled") == 1

        await asyncio.to_thread(eventually, cut_off, "the slow reader is cut off")


@pytest.mark.parametrize("stream", [b"true", b"false"])
async def test_an_answer_to_http_1_0_has_no_chunks(gateway: Server, stream: bytes) -> None:
    body = BODY[:-1] + b',"stream":' + stream + b"}"
    head = POST.replace(b"1.1", b"1.0") + b"content-length: %d\r\n\r\n" % len(body)
    answer = await send(gateway, head + body)
    assert (answer.status, "transfer-encoding" in answer.head) == (200, False)
    assert answer.body.startswith(b"data: {" if stream == b"true" else b"{")
    assert answer.body.endswith(b"data: [DONE]\n\n" if stream == b"true" else b"}")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # a text that is no UTF-8
        (b"\x82\x02ab", 1002),  # without a mask
        (b"\x82\xff" + b"\x7f" * 8 + b"\0\0\0\0", 1009),  # larger than anything
        (b"\xf2\x82\0\0\0\0ab", 1002),  # with bits that mean nothing
    ],
)
async def test_a_devices_wrong_frame_ends_its_connection_and_is_no_error_in_the_log(
    gateway: Server, frame: bytes, code: int
) -> None:
    open_before = gateway.metric("tierflow_open_connections")
    reader, writer = await connect(gateway)
    writer.write(
        b"GET " + PATH.encode() + b" HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"authorization: Bearer " + TOKEN + b"\r\n\r\n"
    )
    assert b" 101 " in await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    writer.write(frame)
    async with asyncio.timeout(10):
        end = await reader.read()
    assert code.to_bytes(2) in end
    writer.close()
    eventually(
        lambda: gateway.metric("tierflow_open_connections") <= open_before, "it is counted off"
    )
    assert "Traceback" not in gateway.output()


async def test_requests_sent_far_ahead_end_the_connection_and_are_counted_as_that(
    gateway: Server,
) -> None:
    one = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    answer = await send(gateway, one * 200)
    assert answer.body.count(b"HTTP/1.1 200 OK") < 199
    assert b"invalid_http" not in answer.body
    assert gateway.metric("tierflow_refused_connections_total", reason="requests_ahead") == 1
    assert (await send(gateway, GET + b"connection: close\r\n\r\n")).status == 200


async def test_a_request_over_several_pieces_and_one_after_another_are_answered(
    gateway: Server,
) -> None:
    one = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    last = one.replace(b"host: localhost", b"host: localhost\r\nconnection: close")
    data = one + one + last
    answer = await send(gateway, *(data[i : i + 50] for i in range(0, len(data), 50)))
    assert answer.head.startswith("http/1.1 200")
    assert answer.body.count(b"HTTP/1.1 200 OK") == 2
