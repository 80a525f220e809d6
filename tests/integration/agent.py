"""A real agent process, the link before it, and an engine that says what the small model would."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from loadtest.link.control import Control
from services.device_agent.drafters.onnx import OnnxDrafter
from services.device_agent.text import TextModel
from tests.integration.device import TOKEN
from tests.integration.speculating_engine import SECRET, SpeculatingEngine
from tests.servers import (
    SHIPPED_FAMILY,
    Server,
    eventually,
    free_port,
    start,
    start_gateway,
    start_simulator,
)

MODEL = SHIPPED_FAMILY / "rill-device"
SWERVES = 7
"""Every so many tokens the engine says something else than the device's model would."""

QUICK_AGENT = "tests.integration.quick_agent"

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]
ASKED: dict[str, Any] = {"messages": QUESTION, "max_tokens": 40, "ignore_eos": True}


class FamilyEngine(SpeculatingEngine):
    """Has the shipped family's tokenizer. Greedy, with ends and stop texts as vLLM has them."""

    def __init__(self) -> None:
        self.text = TextModel(MODEL)
        super().__init__(vocabulary=self.text.vocabulary)
        self._drafter = OnnxDrafter(MODEL / "model.onnx", self.text.context)
        self._question = len(self.text.encode_chat(QUESTION))

    def encode(self, text: str) -> list[int]:
        return self.text.encode(text)

    def answer(self, body: dict[str, Any]) -> tuple[list[int], str, str | None]:
        ids = self.answer_ids(body["prompt"], body["max_tokens"])
        ends = frozenset() if body.get("ignore_eos") else self.text.end_tokens
        for count, token in enumerate(ids, 1):
            if token in ends:
                return ids[:count], "stop", None
            whole = self.text.tokenizer.decode(ids[:count])
            for stop in body.get("stop") or []:
                if stop in whole:
                    return ids[:count], "stop", stop
        return ids, "length", None

    def answer_ids(self, prompt: list[int], count: int) -> list[int]:
        """The small model's greedy text, which goes on from what is changed in it. A prompt that is
        followed by the beginning of its answer is answered with the rest of that."""
        stream = self._drafter.start()
        ids: list[int] = []
        while len(ids) < count:
            text = [*prompt, *ids]
            (guess,) = stream.draft(text, 1, lambda _: True)
            swerve = (len(text) - self._question) % SWERVES == SWERVES - 1
            ids.append((guess.token + 11) % 1000 + 300 if swerve else guess.token)
        return ids

    def to(self, question: list[dict[str, str]], count: int) -> list[int]:
        return self.answer_ids(self.text.encode_chat(question), count)


@dataclass
class World:
    """What a test needs: `ask` posts to the agent."""

    engine: FamilyEngine
    gateway: Server
    agent: Server
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    def ask(self, body: dict[str, Any], path: str = "chat/completions", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"{self.agent.url}/v1/{path}", json=body, headers=named)

    def ready(self) -> Any:
        return self.http.get(self.agent.url + "/ready").json()

    def linked(self) -> bool:
        return self.agent.metric("tierflow_device_link_up") == 1 and bool(self.ready()["tiers"])


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def config_for(engine: SpeculatingEngine, *edges: Server) -> dict[str, Any]:
    cloud = {
        "tier": "cloud",
        "endpoints": [engine.url],
        "mailboxes": [engine.mailbox],
        "mailbox_secret": SECRET,
    }
    edge = {"edge": {"tier": "edge", "endpoints": [each.url for each in edges]}} if edges else {}
    return {
        "pools": {"cloud": cloud, **edge},
        "scrape": {"interval_s": 0.2},
        "retries": {"ratio": 1.0},
        # What an agent asks there, it asks with its device's token.
        "keys": {"required": True},
        "devices": {"tokens": {"phone": digest(TOKEN), "watch": digest("token-of-the-watch")}},
    }


def start_agent(
    gateway: str,
    folder: Path,
    *flags: str,
    token: str = TOKEN,
    program: str = "services.device_agent",
) -> Server:
    """Waits until it can answer alone."""
    port = free_port()
    file = folder / f"token-{port}"
    file.write_text(token + "\n")
    command = [sys.executable, "-m", program, "--gateway", gateway]
    command += ["--model", str(MODEL), "--token-file", str(file), "--port", str(port), *flags]
    agent = start("agent", command, folder, f"http://127.0.0.1:{port}")
    eventually(lambda: agent.answers("/ready"), "the agent answers", 60)
    return agent


@contextmanager
def world(folder: Path, between: Callable[[str], str] | None = None) -> Iterator[World]:
    """Engine, gateway and agent, connected. The edge has another tokenizer and takes no drafts.

    `between` makes the address at which the agent finds the gateway.
    """
    with ExitStack() as stack:
        engine = FamilyEngine()
        engine.start()
        stack.callback(engine.stop)
        edge = start_simulator("rill-edge", folder, "--max-model-len", "1024")
        stack.callback(edge.stop)
        gateway = start_gateway(config_for(engine, edge), folder)
        stack.callback(gateway.stop)
        address = between(gateway.url) if between else gateway.url
        agent = start_agent(address, folder, program=QUICK_AGENT)
        stack.callback(agent.stop)
        made = World(engine, gateway, agent)
        stack.callback(made.http.close)

        def drafting() -> bool:
            conditions = httpx.get(gateway.url + "/ready").json()["conditions"]
            return "mailbox-lost" not in conditions and len(made.ready()["tiers"]) == 2

        eventually(drafting, "the agent sees both tiers, the gateway the mailbox")
        yield made


@contextmanager
def link(to: str, folder: Path) -> Iterator[tuple[str, Control]]:
    """A link to `to` (a URL): its own URL, and what changes it."""
    port, control_port = free_port(), free_port()
    command = [sys.executable, "-m", "loadtest.link", "--listen", str(port)]
    command += ["--to", to.removeprefix("http://"), "--control", str(control_port)]
    process = start("link", command, folder, f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: "ready" in process.output(), "the link is ready")
        with Control(control_port) as control:
            yield process.url, control
    finally:
        process.stop()
