"""A stock engine, and before it a gateway for every way of answering, each behind its link."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.link.control import Control
from loadtest.measure.closed_loop import checked
from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.http_client import Connection, get, post
from loadtest.measure.processes import Cores, Process, Processes
from loadtest.measure.servers import (
    Links,
    one_core_arguments,
    pool,
    start_gateway,
    start_links,
    start_vllm,
    step_wait,
    token_hashes,
    wait_for_engine,
)
from loadtest.rounds.device import ScriptedDevice

PLAIN, AUTO, ALWAYS = "never", "auto", "always"
"""Ways of answering, as the pool's `draft_rounds`."""
LEASE_S = 600.0
"""A device is silent while the others are asked."""
_ROUNDS = "tierflow_draft_round_seconds_count"
_ACCEPTED = 'tierflow_draft_rounds_tokens_total{pool="cloud",result="accepted"}'


@dataclass(frozen=True, slots=True)
class Way:
    """How an answer is made: by the pool's `draft_rounds`, with at most so many drafts a round."""

    mode: str
    most: int = 0

    @property
    def name(self) -> str:
        return f"{self.mode}-{self.most}" if self.most else self.mode


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundsTestbed:
    """The servers of one engine's step: the engine, a gateway for each way, and its link."""

    engine: Process
    gateways: Mapping[Way, Process]
    links: Links
    token: str

    @classmethod
    def start(
        cls,
        processes: Processes,
        *,
        python: str,
        model: Path,
        step_ms: int,
        most_drafts: Sequence[int],
        cores: Cores,
        folder: Path,
        progress: Progress,
    ) -> RoundsTestbed:
        """All ready. Raises BenchmarkFailure."""
        engine = start_vllm(
            processes,
            python,
            model,
            cores=cores.all,
            arguments=one_core_arguments(cores),
            environment=step_wait(step_ms),
            name=f"{model.name}-step-{step_ms}",
        )
        wait_for_engine(engine, cores.others, progress)
        token = secrets.token_urlsafe(24)
        ways = [Way(PLAIN), *(Way(mode, most) for most in most_drafts for mode in (AUTO, ALWAYS))]
        gateways = {}
        for way in ways:
            terms = {"draft_rounds": way.mode, "draft_round_tokens": way.most}
            settings = {
                "pools": {"cloud": pool("cloud", engine) | (terms if way.most else {})},
                "devices": {"tokens": token_hashes({"scripted": token}), "lease_s": LEASE_S},
            }
            gateways[way] = start_gateway(processes, settings, cores=cores.measured, folder=folder)
        ends = {way.name: gateway.target for way, gateway in gateways.items()}
        links = start_links(processes, f"links-{step_ms}", ends, cores=cores.measured)
        return cls(engine=engine, gateways=gateways, links=links, token=token)

    def stop(self, processes: Processes) -> None:
        for gateway in self.gateways.values():
            processes.stop(gateway)
        processes.stop(self.engine)

    def set_round_trip(self, milliseconds: float) -> None:
        with Control(self.links.control_port) as control:
            control.ask(delay_ms=milliseconds / 2)

    def device(self, way: Way) -> ScriptedDevice:
        return ScriptedDevice(url=self.links.url(way.name), token=self.token)

    async def tokenize(self, text: str) -> list[int]:
        """By the engine. Raises BenchmarkFailure."""
        connection = await Connection.open(self.engine.target)
        try:
            exchange = checked(await connection.exchange(post("/tokenize", {"prompt": text})))
            ids: list[int] = json.loads(exchange.body)["tokens"]
        except (KeyError, ValueError) as error:
            raise BenchmarkFailure("the engine sent no token ids") from error
        finally:
            connection.close()
        return ids

    async def rounds_so_far(self, way: Way) -> tuple[int, int]:
        """How many rounds this way's gateway has had, and the drafts accepted in them."""
        connection = await Connection.open(self.gateways[way].target)
        try:
            page = checked(await connection.exchange(get("/metrics"))).body.decode()
        finally:
            connection.close()
        return _sample(page, _ROUNDS), _sample(page, _ACCEPTED)


def _sample(page: str, name: str) -> int:
    lines = (line for line in page.splitlines() if line.startswith(name))
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
