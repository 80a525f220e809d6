"""An engine, a gateway before it, and a device agent before that: three addresses, one model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.clients import CASES
from tests.clients.programs.case import Case
from tests.deployment import gateway_config
from tests.engines import Engines
from tests.integration.agent import digest, start_agent
from tests.integration.device import TOKEN
from tests.servers import SHIPPED_FAMILY, Server, start_gateway, start_simulator

MODEL = "rill-cloud"
QUESTION = "Add 417 and 325 digit by digit."
MAX_TOKENS = 24
TOOL = {
    "name": "look_up",
    "description": "Looks a word up",
    "parameters": {
        "type": "object",
        "properties": {
            "word": {"type": "string", "enum": ["river", "bridge"]},
            "exact": {"type": "boolean"},
        },
        "required": ["word", "exact"],
        "additionalProperties": False,
    },
}
VERDICT = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["right", "wrong"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
PENALTY = 2.0


@dataclass(frozen=True)
class Servers:
    """Where the same request may go. `kind`: of the engine, vllm or simulator."""

    kind: str
    engine: Server
    gateway: Server
    agent: Server

    def at(self, place: str) -> Server:
        return {"engine": self.engine, "gateway": self.gateway, "device agent": self.agent}[place]

    def case(self, name: str, place: str) -> Case:
        way, other = CASES[name]
        weights = SHIPPED_FAMILY / MODEL
        ends = json.loads((weights / "generation_config.json").read_text())["eos_token_id"]
        fields = {"model": MODEL, "max_tokens": MAX_TOKENS, **other}
        return Case(
            name=way,
            url=self.at(place).url,
            key="unused",
            question=QUESTION,
            tool=TOOL,
            schema=VERDICT,
            penalty=PENALTY,
            end_tokens=ends if isinstance(ends, list) else [ends],
            tokenizer=str(weights),
            **fields,
        )


@contextmanager
def servers(kind: str, engines: Engines, folder: Path) -> Iterator[Servers]:
    """For answers of vLLM the device drafts; a simulator's tokenizer is no device's."""
    with ExitStack() as stack:
        if kind == "vllm":
            engine = engines.get("cloud").server
        else:
            flags = ("--decode-tokens-per-s", "400", "--max-model-len", "2048")
            engine = start_simulator(MODEL, folder, *flags)
            stack.callback(engine.stop)
        config = gateway_config([], [engine], devices={"tokens": {"phone": digest(TOKEN)}})
        del config["pools"]["edge"]
        gateway = start_gateway(config, folder)
        stack.callback(gateway.stop)
        agent = start_agent(gateway.url, folder)
        stack.callback(agent.stop)
        yield Servers(kind, engine, gateway, agent)
