"""A small and a large engine whose answers are known, behind one gateway or two on one Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.cascade.chatting_engine import ChattingEngine
from tests.integration.gateway_replicas import ONE_OR_TWO, Replicas, replicas
from tests.integration.speculating_engine import SECRET
from tests.servers import eventually

QUESTION = "What?"
PREDICTOR = {
    "version": 1,
    "window": 2,
    "methods": {
        "logprobs": {
            "link": "exp",
            "bias": 0.0,
            "terms": [{"feature": "minimum", "weight": 1.0, "centre": 0.0, "scale": 1.0}],
            "thresholds": {"0.99": 0.5},
        },
        "agreement": {
            "link": "exp",
            "bias": 0.0,
            "terms": [{"feature": "agreement", "weight": 1.0, "centre": 1.0, "scale": 1.0}],
            "thresholds": {"0.99": 0.9},
        },
        "self-check": {
            "link": "exp",
            "bias": 0.0,
            "terms": [{"feature": "self_check", "weight": 1.0, "centre": 1.0, "scale": 1.0}],
            "thresholds": {"0.99": 0.9},
        },
    },
}


@dataclass
class CascadeReply:
    status: int = 200
    text: str = ""
    ids: list[int] = field(default_factory=list)
    reason: str | None = None
    stop: Any = None
    about: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    error: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class TwoTiers:
    """The engines and the gateways before them, with what a client asks and reads."""

    small: ChattingEngine
    large: ChattingEngine
    gateways: Replicas
    http: httpx.Client
    outcomes: list[Path]

    def body(self, stream: bool = False, **fields: Any) -> dict[str, Any]:
        body = {"model": "tierflow-cascade", "return_token_ids": True, "stream": stream}
        body["messages"] = [{"role": "user", "content": QUESTION}]
        body |= {"stream_options": {"include_usage": True}} if stream else {}
        return body | fields

    def ask(self, stream: bool = False, **fields: Any) -> CascadeReply:
        headers = fields.pop("headers", {})
        body, path = self.body(stream, **fields), "/v1/chat/completions"
        reply = CascadeReply()
        if not stream:
            answer = self.http.post(path, json=body, headers=headers)
            reply.status, reply.body = answer.status_code, answer.json()
            if answer.status_code != 200:
                reply.error = answer.json()["error"]
                return reply
            _take(reply, answer.json())
            return reply
        with self.http.stream("POST", path, json=body, headers=headers) as response:
            reply.status = response.status_code
            for line in response.iter_lines():
                if line.startswith(":"):
                    reply.comments.append(line)
                elif line == "data: [DONE]":
                    reply.done = True
                elif line.startswith("data: "):
                    _take(reply, json.loads(line[6:]))
        return reply

    def metric(self, name: str, **labels: str) -> float:
        return self.gateways.metric(f"tierflow_cascade_{name}", **labels)


def _take(reply: CascadeReply, chunk: dict[str, Any]) -> None:
    reply.error = chunk.get("error") or reply.error
    reply.usage = chunk.get("usage") or reply.usage
    reply.about = (chunk.get("tierflow") or {}).get("cascade") or reply.about
    for choice in chunk.get("choices") or ():
        message = choice.get("message") or choice.get("delta") or {}
        reply.text += message.get("content") or ""
        reply.ids += choice.get("token_ids") or []
        reply.reason = choice.get("finish_reason") or reply.reason
        reply.stop = choice.get("stop_reason") or reply.stop


def pools(small: ChattingEngine, large: ChattingEngine) -> dict[str, Any]:
    return {
        name: {
            "tier": name,
            "endpoints": [engine.url],
            "mailboxes": [engine.mailbox],
            "mailbox_secret": SECRET,
        }
        for name, engine in (("edge", small), ("cloud", large))
    }


def _config(small: ChattingEngine, large: ChattingEngine, predictor: Path, outcomes: Path) -> Any:
    return {
        "pools": pools(small, large),
        "scrape": {"interval_s": 0.2},
        "timeouts": {"first_token_s": 5.0, "idle_s": 5.0, "answer_s": 5.0},
        "retries": {"ratio": 1.0},
        # What one test breaks is well in the next, without requests that try it.
        "ejection": {"consecutive_failures": 1_000, "min_requests": 1_000},
        "cascade": {
            "predictor": str(predictor),
            "outcome_log": str(outcomes),
            "audit_share": 1.0,
        },
    }


@pytest.fixture(scope="module", params=ONE_OR_TWO)
def whole_tiers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoTiers]:
    folder = tmp_path_factory.mktemp("cascade")
    predictor = folder / "predictor.json"
    predictor.write_text(json.dumps(PREDICTOR))
    outcomes = [folder / f"outcomes-{number}.jsonl" for number in range(request.param)]
    with ExitStack() as stack:
        small, large = ChattingEngine("rill-edge"), ChattingEngine("rill-cloud")
        for engine in (small, large):
            engine.start()
            stack.callback(engine.stop)
        configs = [_config(small, large, predictor, file) for file in outcomes]
        gateways = stack.enter_context(replicas(folder, *configs))
        http = stack.enter_context(gateways.http())
        tiers = TwoTiers(small, large, gateways, http, outcomes)
        eventually(lambda: _well(tiers), "both pools are ready")
        yield tiers


@pytest.fixture
def tiers(whole_tiers: TwoTiers) -> TwoTiers:
    """With engines that are well, sure, and have said nothing."""
    for engine in (whole_tiers.small, whole_tiers.large):
        engine.replies, engine.doubts, engine.samples = {}, set(), []
        engine.chat_refuses = engine.refuses = engine.breaks_after = None
        engine.chats.clear()
        engine.bodies.clear()
        engine.drafts.clear()
        engine.aborted = 0
        engine.gate.set()
    eventually(lambda: _well(whole_tiers), "both pools are ready")
    return whole_tiers


def _well(tiers: TwoTiers) -> bool:
    for gateway in tiers.gateways.each:
        found = httpx.get(gateway.url + "/ready").json()
        if found["conditions"] or not all(pool["ready"] for pool in found["pools"].values()):
            return False
    return True
