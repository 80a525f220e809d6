"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from loadtest.bench.settings import CHECKOUT
from loadtest.measure.failure import BenchmarkFailure

METHODS = ("logprobs", "agreement", "self-check")
LEAST_QUESTIONS = 100


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m loadtest.calibration", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="ask both tiers of a running gateway, and fit to that")
    log = commands.add_parser("log", help="fit to what a gateway wrote to cascade.outcome_log")
    measure = commands.add_parser(
        "measure", help="ask the cascade as it is, and the top tier, on held-out questions"
    )
    for one in (ask, measure):
        one.add_argument("--url", default="http://127.0.0.1:8080", help="default: %(default)s")
        one.add_argument("--questions", type=int, default=1600, help="default: %(default)s")
        one.add_argument("--max-tokens", type=int, default=160, help="of an answer")
        one.add_argument("--at-once", type=int, default=8, help="questions; default: %(default)s")
        one.add_argument("--upper", default="tierflow-cloud", help="default: %(default)s")
    ask.add_argument(
        "--methods", default="logprobs", help=f"of {', '.join(METHODS)}; default: %(default)s"
    )
    log.add_argument("file", type=Path)
    for one in (ask, log):
        one.add_argument("--window", type=int, default=4, help="tokens; default: %(default)s")
        one.add_argument("--output", type=Path, required=True, help="the predictor's file")
        one.add_argument("--plot", type=Path, help="default: beside the predictor, as .png")
        one.add_argument("--isotonic", action="store_true", help="calibrate by isotonic regression")
    measure.add_argument("--quality", type=float, help="default: the gateway's own")
    measure.add_argument("--confidence", choices=METHODS, help="default: the gateway's own")
    measure.add_argument("--stream-mode", choices=("whole", "exact", "live"), default="whole")
    top.add_argument("--results", type=Path, default=CHECKOUT / "bench-results", help="folder")
    return top


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Raises BenchmarkFailure for what can't work; argparse exits for what it can't read."""
    given = parser().parse_args(argv)
    if given.command == "ask":
        given.methods = tuple(given.methods.split(","))
        for method in given.methods:
            if method not in METHODS:
                raise BenchmarkFailure(
                    f"--methods: unknown {method!r}; known: {', '.join(METHODS)}", 2
                )
    if getattr(given, "questions", LEAST_QUESTIONS) < LEAST_QUESTIONS:
        raise BenchmarkFailure(f"--questions: {LEAST_QUESTIONS} at least", 2)
    return given
