"""A gateway for devices, before engines whose text is known and that take drafts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.protocol.tokenizer import PROBE, fingerprint
from tests.integration.device import TOKEN
from tests.integration.speculating_engine import (
    SECRET,
    VOCABULARY,
    SpeculatingEngine,
)
from tests.servers import Server, eventually, start_gateway

PROMPT = [11, 12, 13]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def tokenizer(shift: int = 0) -> str:
    return fingerprint([(ord(letter) + shift) % VOCABULARY for letter in PROBE])


def pool_of(
    tier: str, engines: Sequence[SpeculatingEngine], in_rounds: bool = False
) -> dict[str, Any]:
    urls = [engine.url for engine in engines]
    if in_rounds:
        return {"tier": tier, "endpoints": urls, "draft_rounds": "auto"}
    return {
        "tier": tier,
        "endpoints": urls,
        "mailboxes": [engine.mailbox for engine in engines],
        "mailbox_secret": SECRET,
    }


@contextmanager
def gateway_before(
    folder: Path,
    *engines: SpeculatingEngine,
    middle: Sequence[SpeculatingEngine] = (),
    idle_s: float = 60.0,
    in_rounds: bool = False,
    chains: Mapping[str, Sequence[str]] | None = None,
    **devices: Any,
) -> Iterator[Server]:
    """`engines` are of the cloud, those in the `middle` of the edge. `in_rounds`: the cloud's check
    drafts by requests, and not through their mailboxes. `chains` are virtual models."""
    tokens = {"phone": digest(TOKEN), "watch": digest("token-of-the-watch")}
    config = {
        "pools": {"cloud": pool_of("cloud", engines, in_rounds)}
        | ({"edge": pool_of("edge", middle)} if middle else {}),
        "scrape": {"interval_s": 0.2},
        "retries": {"ratio": 1.0},
        "timeouts": {"idle_s": idle_s},
        "devices": {"tokens": tokens, **devices},
        "chains": {"adapt": False, **({"models": dict(chains)} if chains else {})},
    }
    gateway = start_gateway(config, folder)
    try:
        eventually(lambda: not conditions(gateway), "the mailboxes are connected")
        yield gateway
    finally:
        gateway.stop()


def conditions(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()["conditions"]


def session_of(engine: SpeculatingEngine) -> str:
    """Of the last request that came to the engine."""
    return str(engine.bodies[-1]["vllm_xargs"]["draft_session"])


async def soon(look: Any, what: str) -> Any:
    return await asyncio.to_thread(eventually, look, what)
