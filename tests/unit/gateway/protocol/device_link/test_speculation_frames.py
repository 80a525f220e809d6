from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.device_link import speculation as wire

FROM_DEVICE: list[wire.FromDevice] = [
    wire.Hello(wire.VERSION, "a device"),
    wire.Ping(n=1, round_trip_s=0.02, bytes_per_s=1e6, pad=b"\x00" * 8),
    wire.Open(
        s=1,
        tier="edge",
        tokenizer="f",
        prompt=[1, 2],
        sampling=wire.Sampling(temperature=0.5, stop=["x"]),
    ),
    wire.Open(
        s=2,
        tier="cloud",
        tokenizer="f",
        messages=[{"role": "user", "content": "hi"}],
        model="rill-cloud",
    ),
    wire.Open(s=3, tier="cloud", tokenizer="f", prompt=[1], through=("edge",)),
    wire.Draft(s=1, p=5, i=[1, 2, 3], b=[9, 8]),
    wire.Draft(s=1, p=5, i=[1, 2], b=[9], m=[wire.Run(6, [3], [9, 1]), wire.Run(7, [4, 5])]),
    wire.Cancel(1),
]
FROM_GATEWAY: list[wire.FromGateway] = [
    wire.Welcome(
        version=1,
        device="phone",
        lease_s=15.0,
        heartbeat_s=5.0,
        offers=[
            wire.Offer(tier="edge", model="rill-edge", tokenizer="f", per_step=16),
            wire.Offer(tier="cloud", model="rill-cloud", tokenizer="f", through=("edge",)),
        ],
    ),
    wire.Pong(3),
    wire.Opened(s=1, model="rill-edge", endpoint="edge:1", per_step=16, prompt=[1, 2]),
    wire.Tokens(s=1, p=0, i=[5, 6], d=1),
    wire.Tokens(s=1, p=2, i=[7, 8, 9], d=2, w=[0, 1, 2]),
    wire.Ahead(s=1, p=5, i=[3, 4]),
    wire.Ahead(s=1, p=5, i=[]),
    wire.Done(
        s=1, reason="stop", prompt_tokens=3, completion_tokens=4, drafted=10, accepted=2, stop="x"
    ),
    wire.Error(code="flood", message="too many", s=1),
]


@pytest.mark.parametrize("frame", FROM_DEVICE, ids=lambda frame: type(frame).__name__)
def test_a_devices_frame_survives_the_wire(frame: wire.FromDevice) -> None:
    assert wire.decode_from_device(wire.encode(frame)) == frame


@pytest.mark.parametrize("frame", FROM_GATEWAY, ids=lambda frame: type(frame).__name__)
def test_a_gateways_frame_survives_the_wire(frame: wire.FromGateway) -> None:
    assert wire.decode_from_gateway(wire.encode(frame)) == frame


def draft(**fields: Any) -> dict[str, Any]:
    return {"t": "draft", "s": 1, "p": 0, "i": [1], **fields}


def opened(**fields: Any) -> dict[str, Any]:
    return {"t": "open", "s": 1, "tier": "edge", "tokenizer": "f", "prompt": [1], **fields}


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        ({"t": "launch"}, "launch"),
        ({"s": 1}, "t"),
        (draft(i=[]), r"\$\.i"),
        (draft(i=[1] * (wire.MAX_DRAFT_TOKENS + 1)), r"\$\.i"),
        (draft(i=[-1]), r"\$\.i"),
        (draft(i=[2**31]), r"\$\.i"),
        (draft(i=["1"]), r"\$\.i"),
        (draft(p=-1), r"\$\.p"),
        (draft(s=2**31), r"\$\.s"),
        (draft(b=[1] * (wire.BEFORE + 1)), r"\$\.b"),
        (draft(m=[[0, []]]), r"\$\.m"),
        (draft(m=[[0, [1], [], 5]]), r"\$\.m"),
        (draft(m=[[0, [1]]] * wire.MAX_RUNS), r"\$\.m"),
        (opened(tier="device"), r"\$\.tier"),
        (opened(tier="cloud", through=["device"]), r"\$\.through"),
        (opened(tier="cloud", through=["edge"] * 5), r"\$\.through"),
        (opened(tier="cloud", through=["edge", "edge"]), "through"),
        (opened(tier="edge", through=["edge"]), "through"),
        (opened(tokenizer="f" * 129), r"\$\.tokenizer"),
        (opened(prompt=[1] * (wire.MAX_PROMPT_TOKENS + 1)), r"\$\.prompt"),
        (opened(sampling={"temperature": 3}), r"\$\.sampling\.temperature"),
        (opened(sampling={"logit_bias": {}}), "logit_bias"),
        (opened(sampling={"seed": 2**63}), r"\$\.sampling\.seed"),
        (opened(sampling={"stop": ["a"] * 5}), r"\$\.sampling\.stop"),
        ({"t": "hello", "version": 0}, r"\$\.version"),
        ({"t": "ping", "n": 1, "pad": b"\x00" * ((1 << 16) + 1)}, r"\$\.pad"),
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_refused_and_named(frame: dict[str, Any], named: str) -> None:
    with pytest.raises(wire.FrameError, match=named):
        wire.decode_from_device(msgspec.msgpack.encode(frame))


def test_a_chain_without_a_tier_in_the_middle_costs_nothing_on_the_wire() -> None:
    plain = wire.encode(wire.Open(s=1, tier="edge", tokenizer="f", prompt=[1]))
    assert b"through" not in plain
    assert "w" not in msgspec.msgpack.decode(wire.encode(wire.Tokens(s=1, p=0, i=[5])))


def test_a_writer_that_no_chain_has_is_refused() -> None:
    tokens = {"t": "tokens", "s": 1, "p": 0, "i": [1], "w": [wire.MAX_MIDDLE_TIERS + 2]}
    with pytest.raises(wire.FrameError, match=r"\$\.w"):
        wire.decode_from_gateway(msgspec.msgpack.encode(tokens))


def test_more_ids_ahead_than_a_chain_may_hold_are_refused() -> None:
    ahead = {"t": "ahead", "s": 1, "p": 0, "i": [1] * (wire.MAX_AHEAD_TOKENS + 1)}
    with pytest.raises(wire.FrameError, match=r"\$\.i"):
        wire.decode_from_gateway(msgspec.msgpack.encode(ahead))


def test_a_message_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(wire.FrameError, match="at most"):
        wire.decode_from_device(b"\x00" * (wire.MAX_FRAME_BYTES + 1))


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(message: bytes) -> None:
    for decode in (wire.decode_from_device, wire.decode_from_gateway):
        try:
            frame = decode(message)
        except wire.FrameError:
            continue
        assert decode(wire.encode(frame)) == frame


@given(st.sampled_from(FROM_DEVICE), st.data())
def test_a_frame_that_was_damaged_does_no_more_than_be_refused(
    frame: wire.FromDevice, data: st.DataObject
) -> None:
    message = bytearray(wire.encode(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = wire.decode_from_device(bytes(message))
    except wire.FrameError:
        return
    assert wire.decode_from_device(wire.encode(read)) == read


def test_nesting_without_end_is_refused() -> None:
    deep = b"\x91" * 100_000
    with pytest.raises(wire.FrameError):
        wire.decode_from_device(deep)
    messages = b"\x82\xa1t\xa4open\xa8messages" + deep
    with pytest.raises(wire.FrameError):
        wire.decode_from_device(messages)
