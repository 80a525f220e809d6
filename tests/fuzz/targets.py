"""Every parser of bytes that come from outside: how it is called, and what it may raise."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from gateway.adapters.engines.dialects import LLAMA_CPP, VLLM, Dialect
from gateway.adapters.engines.draft_round import RoundUnreadable, confirmed, parse_round
from gateway.adapters.engines.vllm_page import parse_load
from gateway.adapters.files.keys import KeyFile
from gateway.adapters.identity.issuers import SignedTokens
from gateway.api.requests.parsing import parse
from gateway.api.requests.request_headers import read_headers, request_id
from gateway.core.access.stored_keys import KeysProblem
from gateway.core.bodies.body import replace_model
from gateway.core.bodies.body_outline import BodyOutline, OutlineLimits
from gateway.core.bodies.form_body import read_form
from gateway.core.final_answer import answer_key
from gateway.core.privacy import PrivacyRule
from gateway.core.streams.answer_stream import DONE_EVENT, AnswerStream
from gateway.core.streams.event_log import EventLog, read_event_id, replica_of, stream_id
from gateway.core.streams.sse import each_event, objects
from gateway.core.streams.usage import find_usage
from gateway.core.tier import Tier
from gateway.core.types import InferenceRequest
from gateway.errors import ConfigError, GatewayError, InvalidKey, InvalidRequest
from gateway.protocol import mailbox
from gateway.protocol.device_link import speculation
from gateway.protocol.device_link.devices import EnrolmentWish, EnrolRequest
from gateway.protocol.errors.field_problems import field_name, field_problem
from gateway.protocol.keys import KeyWish, RotationWish
from gateway.protocol.paths import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, TOKENIZE
from gateway.protocol.requests.collective import Feedback
from gateway.protocol.virtual_models import CASCADE
from gateway.serving.chat.request import read
from gateway.serving.devices.replicas import messages as replicas
from gateway.serving.requests.refusals import relayed
from gateway.serving.resumable import messages as resumable
from gateway.settings import Settings
from tests.fuzz import seeds

Parser = Callable[[bytes], object]
LIMITS = OutlineLimits(max_bytes=1 << 20, max_fields=1000, max_items=1000)
PRIVACY = PrivacyRule.of(owner_tiers=[Tier.EDGE], private_tiers=[])
REPLICA = "0123456789abcdef"


@dataclass(frozen=True)
class Target:
    """A parser. `meant` are the errors by which it refuses an input; any other is a crash."""

    name: str
    parser: Parser
    seeds: Sequence[bytes]
    meant: tuple[type[BaseException], ...] = ()
    slow_s: float = 1.0
    """CPU seconds beyond which an input of a few kilobytes is a fault. Files of the operator's own
    may take longer."""


def targets() -> list[Target]:
    frame_errors = (speculation.FrameError,)
    mail_errors = (msgspec.MsgspecError, UnicodeDecodeError)
    return [
        *(Target(f"body of {path}", _body(path), seeds.BODIES) for path in (CHAT, COMPLETIONS)),
        *(Target(f"body of {path}", _body(path), seeds.BODIES) for path in (RESPONSES, EMBEDDINGS)),
        Target(f"body of {TOKENIZE}", _body(TOKENIZE), seeds.BODIES),
        Target(f"body of {MESSAGES}", _body(MESSAGES), seeds.BODIES),
        Target("form", _form, seeds.FORMS, (InvalidRequest,)),
        Target("outline of a large body", _outline, seeds.BODIES),
        Target("body with another model", _renamed, seeds.BODIES),
        Target("body of a virtual model", _virtual, seeds.BODIES, (GatewayError,)),
        Target("request headers", _headers, seeds.HEADERS),
        *(
            Target(f"an engine's stream of {path}", _stream(path), seeds.STREAMS, (GatewayError,))
            for path in (CHAT, COMPLETIONS, RESPONSES, MESSAGES)
        ),
        *(
            Target(f"a round of {dialect.name}", _round(dialect), seeds.ROUNDS, (RoundUnreadable,))
            for dialect in (VLLM, LLAMA_CPP)
        ),
        Target("an engine's refusal", relayed, seeds.REFUSALS),
        Target("an engine's metrics", parse_load, seeds.METRICS),
        Target("a final answer", _final_answer, seeds.TEXTS),
        Target("frame of a device", speculation.decode_from_device, seeds.frames(), frame_errors),
        Target("frame to a device", speculation.decode_from_gateway, seeds.frames(), frame_errors),
        Target("mailbox: drafts", mailbox.read_drafts, seeds.mailboxes(), mail_errors),
        Target("mailbox: greeting", mailbox.read_greeting, seeds.mailboxes(), mail_errors),
        Target("mailbox: counts", mailbox.read_counts, seeds.mailboxes(), mail_errors),
        Target("message of replicas about devices", replicas.decode, seeds.replica_messages()),
        Target("message of replicas about streams", resumable.decode, seeds.replica_messages()),
        *(
            Target(f"admin body: {kind.__name__}", _admin(kind), seeds.ADMIN)
            for kind in (EnrolmentWish, EnrolRequest, Feedback, KeyWish, RotationWish)
        ),
        Target("event id", _event_id, seeds.EVENT_IDS),
        Target("log of a resumable stream", _event_log, seeds.STREAMS),
        Target("an issuer's token", _token, seeds.TOKENS, (InvalidKey,)),
        Target("file of keys", _keys, seeds.KEYS, (KeysProblem,), slow_s=10.0),
        Target("settings file", _settings, seeds.SETTINGS, (ConfigError,), slow_s=10.0),
    ]


def read_request(
    path: str, body: bytes, headers: Mapping[str, str] | None = None, **more: Any
) -> InferenceRequest:
    return parse(path, headers or {}, body, id="id", received=0.0, privacy=PRIVACY, **more)


def _body(path: str) -> Parser:
    def parsed(data: bytes) -> None:
        request = read_request(path, data, continues=True)
        assert request.fault is None or request.fault.message

    return parsed


def _form(data: bytes) -> None:
    read = read_form(f"multipart/form-data; boundary={seeds.BOUNDARY}", data)
    if read.model_places:
        renamed = replace_model(data, "another", read.model_places, form=True)
        again = read_form(f"multipart/form-data; boundary={seeds.BOUNDARY}", renamed or b"")
        assert again.fields == read.fields | {"model": "another"}


def _outline(data: bytes) -> None:
    outline = BodyOutline(LIMITS)
    for piece in _pieces(data):
        outline.feed(piece)
    outline.end()
    request = read_request(CHAT, data, outline=outline)
    if not outline.problem and _is_object(data):
        assert _is_object(bytes(outline.text)), "the outline of valid JSON is not valid"
        assert request.fault is None or request.fault.code != "invalid_json"


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def _renamed(data: bytes) -> None:
    request = read_request(COMPLETIONS, data)
    if request.fault is None and request.model_in_body:
        renamed = replace_model(data, "another", request.model_places)
        assert renamed and orjson.loads(renamed) == orjson.loads(data) | {"model": "another"}


def _virtual(data: bytes) -> None:
    request = read_request(CHAT, data)
    if request.fault is None:
        read(request, CASCADE)


def _headers(data: bytes) -> None:
    lines = (line.partition(b":") for line in data.split(b"\n"))
    headers = read_headers([(name.strip().lower(), value.strip()) for name, _, value in lines])
    assert len(request_id(headers)) <= 128
    read_request(COMPLETIONS, b'{"model":"m"}', headers=headers)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut where the data itself says, so that the same input is always cut alike."""
    random, start = Random(data), 0
    while start < len(data):
        end = start + random.choice((1, 2, 3, 7, 64, 4096))
        yield data[start:end]
        start = end


def _stream(path: str) -> Parser:
    def fed(data: bytes) -> None:
        stream, sent = AnswerStream(path, "edge:1"), bytearray()
        for piece in _pieces(data):
            sent += stream.feed(piece)
        came = bytes(sent).removesuffix(DONE_EVENT)
        assert data.startswith(came), "what is sent on is not what came"
        assert b"".join(each_event(bytes(sent))) == bytes(sent)
        try:
            sent += stream.finish()
        finally:
            find_usage(bytes(sent))
        for _ in objects(bytes(sent), "edge:1"):
            pass

    return fed


def _round(dialect: Dialect) -> Parser:
    def parsed(data: bytes) -> None:
        tokens = parse_round(data, 2, dialect)
        assert confirmed([5], tokens, room=9).ids

    return parsed


def _final_answer(data: bytes) -> None:
    answer_key(data.decode("utf-8", "replace"))


def _admin(kind: type[BaseModel]) -> Parser:
    def read_body(data: bytes) -> None:
        try:
            kind.model_validate_json(data or b"{}")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            assert field_problem(first) and isinstance(field_name(first), str)

    return read_body


def _event_id(data: bytes) -> None:
    value = data.decode("latin-1")
    found = read_event_id(value)
    assert found is None or replica_of(found[0]) is not None


def _event_log(data: bytes) -> None:
    log = EventLog(stream_id(REPLICA, "f" * 32))
    for piece in _pieces(data):
        log.append(piece)
    position = 0
    while position < log.last:
        events, after = log.since(position, 512)
        assert after > position or not events
        if after == position:
            break
        position = after
    log.trim(256, log.last)


def _token(data: bytes) -> None:
    """Of an issuer that nobody knows: all that a stranger can reach."""
    parts = (base64.urlsafe_b64encode(part).rstrip(b"=") for part in data.split(b"\n", 2))
    asyncio.run(SignedTokens(lambda: 0.0).identify(b".".join(parts).decode()))


def _keys(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(data)
        file.flush()
        asyncio.run(KeyFile(Path(file.name)).read())


def _settings(data: bytes) -> Any:
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(data)
        file.flush()
        try:
            return Settings.load(Path(file.name))
        except ConfigError as error:
            assert "\n\n" not in str(error)
            raise


def _memory() -> str | None:
    """A folder in memory where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
