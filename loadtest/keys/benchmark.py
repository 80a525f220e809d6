"""Two gateways before one engine that answers at once, one with its quotas in memory, the other
with quotas shared by Redis. Requests go to each in turn with a key that has every quota and without
one: two processes differ by more than a key costs, so a gateway is compared with itself alone."""

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
from loadtest.measure.plots import (
    BASELINE,
    CANDIDATE,
    WHISKERS_EXTREMES,
    error_bars,
    panels,
    save,
)
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
    """How often is measured: `rounds` are requests of each kind in one repetition."""

    repetitions: int
    rounds: int


FULL = KeysPlan(repetitions=7, rounds=2000)
QUICK = KeysPlan(repetitions=9, rounds=500)


def request(key: str, **fields: object) -> list[bytes]:
    """With a key, or without one where it is ""."""
    messages = [{"role": "user", "content": "How many apples are left? " * 80}]
    body: dict[str, object] = {"model": MODEL, "messages": messages, "max_tokens": 64}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return [post(PATH, body | fields, headers)]


class KeysBenchmark(Benchmark[KeysPlan]):
    """The benchmark of keys and quotas."""

    name = "keys"
    engines = 0

    def measure(self) -> Mapping[str, float | None]:
        """Everything; gives the figures of the final line. Raises BenchmarkFailure."""
        self.progress("starting two gateways before a canned engine")
        engine = start_canned_engine(self.processes, cores=self.cores.others)
        redis = start_redis(
            self.processes, cores=self.cores.others, folder=self.settings.logs / "redis"
        )
        address = f"redis://{redis.target.host}:{redis.target.port}"
        gateways = {
            MEMORY: self._gateway(engine, {}),
            REDIS: self._gateway(engine, {"state": {"redis": {"url": address}}}),
        }
        with on_cores(self.cores.others):
            readings = interleaved(
                self.plan.repetitions,
                {"answers and streams": lambda: self._readings(gateways)},
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
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        keys = {"required": False, "static": {"benchmark": {"key": digest, **QUOTAS}}}
        return start_gateway(
            self.processes,
            {"pools": {"cloud": pool("cloud", engine)}, "keys": keys, **settings},
            cores=self.cores.measured,
            folder=self.settings.logs,
        )

    def _readings(self, gateways: Mapping[str, Process]) -> list[Reading]:
        first = {"stream": True, "canned": "paced", "max_tokens": 1}
        readings = []
        for kind, gateway in gateways.items():
            without, with_key = self._windows(gateway, {}, self.plan.rounds)
            readings.append(
                milliseconds(ANSWER.format(kind), with_key.latency(0.5), without.latency(0.5))
            )
            without, with_key = self._windows(gateway, first, self.plan.rounds // 4)
            readings.append(
                milliseconds(
                    FIRST.format(kind), with_key.first_piece(0.5), without.first_piece(0.5)
                )
            )
        return readings

    def _windows(self, gateway: Process, fields: Mapping[str, object], rounds: int) -> list[Window]:
        """Without a key, and with one."""
        series = [RequestSeries(gateway.target, request(key, **fields)) for key in ("", KEY)]
        return alternating(series, rounds=rounds)

    def _write(self, comparisons: Mapping[str, Comparison]) -> None:
        rows = table(
            "keys",
            "One request at a time, before an engine that answers at once",
            comparisons.values(),
            baseline="without a key",
            candidate="with a key and quotas",
        )
        notes = {
            "gateway": versions(("uvicorn", "uvloop", "httptools")),
            "repetitions": str(self.plan.repetitions),
            "requests of each kind in a repetition": str(self.plan.rounds),
        }
        self.write([rows], notes)
        plot(comparisons, self.settings.results / "keys.png")
        self.progress(f"tables and plots are in {self.settings.results}")


def plot(comparisons: Mapping[str, Comparison], path: Path) -> Path:
    """A panel for each comparison: without a key and with one, with their spread."""
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
    caption = (
        "Median answer and first token, one request at a time, without a key and with one "
        f"that has every quota. Bars: median of the repetitions; {WHISKERS_EXTREMES}."
    )
    return save(figure, path, caption=caption)


def _median(comparison: Comparison) -> float | None:
    return comparison.compared.median if comparison.compared else None
