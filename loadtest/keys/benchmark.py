"""Three gateways before one engine that answers at once: without keys, with keys and quotas in
memory, and with quotas shared by Redis. A request goes to each in turn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from loadtest.canned_engine import MODEL
from loadtest.measure.benchmark import Benchmark
from loadtest.measure.chat import PATH
from loadtest.measure.closed_loop import RequestSeries, Window, alternating
from loadtest.measure.http_client import post
from loadtest.measure.machine import versions
from loadtest.measure.plots import BASELINE, CANDIDATE, error_bars, panels, save
from loadtest.measure.processes import Process, on_cores
from loadtest.measure.repetitions import (
    Comparison,
    Reading,
    compare,
    interleaved,
    milliseconds,
    table,
)
from loadtest.measure.servers import pool, start_canned_engine, start_gateway, start_redis

KEY = "of-the-benchmark-0123456789abcdef"
QUOTAS = {
    "requests_per_min": 10**9,
    "tokens_per_min": 10**12,
    "tokens_per_day": 10**14,
    "in_flight": 10**6,
}
"""So large that no request is refused."""
ANSWER, FIRST = "answer, c=1: p50, {}", "stream, c=1: TTFT p50, {}"
MEMORY, REDIS = "keys in memory", "keys shared by Redis"
LARGEST_MS = 0.05
"""What keys may add to the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysPlan:
    """How often is measured: `rounds` are requests to each gateway in one repetition."""

    repetitions: int
    rounds: int


FULL = KeysPlan(repetitions=7, rounds=2000)
QUICK = KeysPlan(repetitions=3, rounds=500)


def request(**fields: object) -> list[bytes]:
    messages = [{"role": "user", "content": "How many apples are left? " * 80}]
    body: dict[str, object] = {"model": MODEL, "messages": messages, "max_tokens": 64}
    return [post(PATH, body | fields, {"Authorization": f"Bearer {KEY}"})]


class KeysBenchmark(Benchmark[KeysPlan]):
    """The benchmark of keys and quotas."""

    name = "keys"
    engines = 0

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        self.progress("starting three gateways before a canned engine")
        engine = start_canned_engine(self.processes, cores=self.cores.others)
        redis = start_redis(
            self.processes, cores=self.cores.others, folder=self.settings.logs / "redis"
        )
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        keys: dict[str, object] = {"keys": {"static": {"benchmark": {"key": digest, **QUOTAS}}}}
        address = f"redis://{redis.target.host}:{redis.target.port}"
        shared: dict[str, object] = {"state": {"redis": {"url": address}}}
        off = self._gateway(engine, {"keys": {"required": False}})
        gateways = {
            MEMORY: self._gateway(engine, keys),
            REDIS: self._gateway(engine, keys | shared),
        }
        with on_cores(self.cores.others):
            readings = interleaved(
                self.plan.repetitions,
                {"answers and streams": lambda: self._readings(off, gateways)},
                self.progress,
            )
        comparisons = compare(chain.from_iterable(chain.from_iterable(readings.values())))
        self._write(comparisons)
        added = {
            name: _median(comparisons[ANSWER.format(kind)])
            for name, kind in (("added_ms_memory", MEMORY), ("added_ms_redis", REDIS))
        }
        within = all(each is not None and each <= LARGEST_MS for each in added.values())
        return {**added, "within": float(within)}

    def _gateway(self, engine: Process, settings: Mapping[str, object]) -> Process:
        return start_gateway(
            self.processes,
            {"pools": {"cloud": pool("cloud", engine)}, **settings},
            cores=self.cores.measured,
            folder=self.settings.logs,
        )

    def _readings(self, off: Process, gateways: Mapping[str, Process]) -> list[Reading]:
        answers = self._windows(off, gateways, request(), self.plan.rounds)
        first = request(stream=True, canned="paced", max_tokens=1)
        streams = self._windows(off, gateways, first, self.plan.rounds // 4)
        return [
            reading
            for kind in gateways
            for reading in (
                milliseconds(
                    ANSWER.format(kind), answers[kind].latency(0.5), answers[""].latency(0.5)
                ),
                milliseconds(
                    FIRST.format(kind), streams[kind].first_piece(0.5), streams[""].first_piece(0.5)
                ),
            )
        ]

    def _windows(
        self, off: Process, gateways: Mapping[str, Process], requests: list[bytes], rounds: int
    ) -> dict[str, Window]:
        """By kind; "" is the gateway without keys."""
        targets = {"": off, **gateways}
        series = [RequestSeries(each.target, requests) for each in targets.values()]
        return dict(zip(targets, alternating(series, rounds=rounds), strict=True))

    def _write(self, comparisons: Mapping[str, Comparison]) -> None:
        rows = table(
            "keys",
            "One request at a time, before an engine that answers at once",
            comparisons.values(),
            baseline="without keys",
            candidate="with keys and quotas",
        )
        notes = {
            "gateway": versions(("uvicorn", "uvloop", "httptools")),
            "repetitions": str(self.plan.repetitions),
            "requests to each gateway in a repetition": str(self.plan.rounds),
        }
        self.write([rows], notes)
        plot(comparisons, self.settings.results / "keys.png")
        self.progress(f"tables and plots are in {self.settings.results}")


def plot(comparisons: Mapping[str, Comparison], path: Path) -> Path:
    """A panel for each comparison: without keys and with them, with their spread."""
    figure, axes = panels(len(comparisons), width=2.6, height=3.0)
    for panel, (title, comparison) in zip(axes, comparisons.items(), strict=True):
        assert comparison.baseline is not None
        bars = ((comparison.baseline, BASELINE), (comparison.candidate, CANDIDATE))
        for place, (spread, colour) in enumerate(bars):
            panel.bar(place, spread.median, 0.6, yerr=error_bars([spread]), capsize=3, color=colour)
        panel.set_title(title.replace(", keys", ",\nkeys"), fontsize=8)
        panel.set_ylabel(comparison.unit, fontsize=8)
        panel.set_xticks([0, 1], ["without", "with"])
        panel.grid(False, axis="x")
    return save(figure, path)


def _median(comparison: Comparison) -> float | None:
    return comparison.compared.median if comparison.compared else None
