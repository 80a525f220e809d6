"""Broken bytes on the gateway's sockets: HTTP that is none, and WebSocket frames of a device."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Sequence
from random import Random

from gateway.protocol.device_link.speculation import PATH as DEVICES
from tests.fuzz import seeds
from tests.fuzz.described import MEANT
from tests.fuzz.findings import Findings
from tests.fuzz.mutation import Mutator
from tests.fuzz.rig import ADMIN_TOKEN, DEVICE_TOKEN, MODELS, Rig

READ_S = 0.1
"""How long an answer is waited for: most damaged requests get one at once, or none."""
FRAMES = 40
"""Of one WebSocket connection."""
ALIVE_EVERY = 200
STATUS = re.compile(rb"HTTP/1\.1 (5\d\d) [^\r]*\r\n")
CODE = re.compile(rb'"code": ?"(\w+)"')
BINARY, TEXT, CLOSE, PING = 2, 1, 8, 9


def fuzz_http(rig: Rig, seconds: float, seed: int, findings: Findings) -> None:
    """One damaged request, or several in a row, on each connection."""
    mutator = Mutator(requests(), Random(f"{seed} http"))
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data, count = mutator.next(), count + 1
        findings.inputs["bytes on a socket"] += 1
        _judge(_exchange(rig, data, count), data, "bytes on a socket", findings)
        if count % ALIVE_EVERY == 0:
            _check_alive(rig, data, findings)


def requests() -> list[bytes]:
    """Well-formed requests of every kind, from which the others are made."""
    chat = {"model": MODELS[0], "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    found = [
        _request("POST", "/v1/chat/completions", json.dumps(chat).encode()),
        _request("POST", "/v1/chat/completions", json.dumps(chat | {"stream": True}).encode()),
        _request("POST", "/v1/completions", b'{"model":"rill-cloud","prompt":[1,2]}'),
        _request("POST", "/tokenize", b'{"prompt":"hi"}'),
        _request("POST", "/v1/collective/feedback", seeds.ADMIN[2]),
        _request("POST", "/v1/admin/enrolments", seeds.ADMIN[0], ADMIN_TOKEN),
        _request("POST", "/v1/devices/enrol", seeds.ADMIN[1]),
        _request("GET", "/v1/devices?limit=1&after=a", b"", ADMIN_TOKEN),
        _request("GET", "/v1/models/rill-edge", b""),
        _request("GET", "/v1/streams/" + seeds.EVENT_IDS[1].decode(), b""),
        _request("HEAD", "/ready", b""),
        _chunked("/v1/completions", [b'{"model":"rill-edge",', b'"prompt":"x","max_tokens":1}']),
        handshake(),
    ]
    for headers in seeds.HEADERS:
        head, _, body = found[0].partition(b"\r\n\r\n")
        found.append(head + b"\r\n" + headers.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body)
    return found


def _request(method: str, path: str, body: bytes, token: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += ["content-type: application/json"] + (
        [f"authorization: Bearer {token}"] if token else []
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def _chunked(path: str, pieces: Sequence[bytes]) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def handshake() -> bytes:
    """A device's, with its token."""
    key = base64.b64encode(b"k" * 16).decode()
    lines = [f"GET {DEVICES} HTTP/1.1", "host: 127.0.0.1", "connection: Upgrade"]
    lines += ["upgrade: websocket", "sec-websocket-version: 13", f"sec-websocket-key: {key}"]
    return "\r\n".join([*lines, f"authorization: Bearer {DEVICE_TOKEN}", "", ""]).encode()


def _exchange(rig: Rig, data: bytes, number: int) -> bytes:
    """What comes back in a moment. Nine in ten say that they are done: who has closed its half of
    the connection is not waited for by the gateway, and gets no answer that takes time."""
    received = b""
    try:
        with socket.create_connection(rig.address, 5) as connection:
            connection.settimeout(READ_S)
            connection.sendall(data)
            if number % 10:
                connection.shutdown(socket.SHUT_WR)
            while len(received) < 1 << 20 and (piece := connection.recv(65536)):
                received += piece
    except OSError:
        pass
    return received


def _judge(received: bytes, data: bytes, target: str, findings: Findings) -> None:
    for found in STATUS.finditer(received):
        code = CODE.search(received, found.end())
        told = code[1].decode() if code else ""
        if told not in MEANT:
            findings.server_error(target, f"{found[1].decode()} {told}", repr(data[:300]))


def _check_alive(rig: Rig, data: bytes, findings: Findings) -> None:
    if not rig.alive():
        findings.crash("the gateway", "does not answer /health any more", data)


def fuzz_devices(rig: Rig, seconds: float, seed: int, findings: Findings) -> None:
    """A device that greets as it should, and then sends damaged frames: in messages of both kinds,
    or with the WebSocket's own framing broken."""
    random = Random(f"{seed} devices")
    frames, end = list(seeds.frames()), time.monotonic() + seconds
    mutator = Mutator(frames, random)
    while time.monotonic() < end:
        sent = b""
        try:
            with socket.create_connection(rig.address, 5) as connection:
                connection.settimeout(5)
                connection.sendall(handshake())
                answer = connection.recv(4096)
                if b" 101 " not in answer:
                    _judge(answer, b"handshake", "a device's handshake", findings)
                    continue
                connection.sendall(message(BINARY, frames[0], random))
                for _ in range(FRAMES):
                    sent = _wire(mutator.next(), random)
                    findings.inputs["frames of a device"] += 1
                    connection.sendall(sent)
        except OSError:
            pass
        _check_alive(rig, sent, findings)


def _wire(frame: bytes, random: Random) -> bytes:
    """The frame as bytes of a WebSocket, mostly well framed."""
    kind = random.choice((BINARY, BINARY, BINARY, BINARY, TEXT, PING, CLOSE, 3, 0))
    data = bytearray(message(kind, frame, random))
    if random.random() < 0.1:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def message(kind: int, data: bytes, random: Random) -> bytes:
    """One masked frame, as clients send it."""
    mask = random.randbytes(4)
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    return bytes([0x80 | kind]) + length + mask + masked
