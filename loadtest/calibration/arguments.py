"""The command line of the calibration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gateway.protocol.configuration.parser import Parser
from gateway.protocol.virtual_models import CLOUD
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.settings import CHECKOUT

DESCRIPTION = "Calibrate the cascade of a running gateway, and measure what it saves and keeps."
METHODS = ("logprobs", "agreement", "self-check")
LEAST_QUESTIONS = 100


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="python -m loadtest.calibration", description=DESCRIPTION)
    add_commands(top)
    return top


def add_commands(top: argparse.ArgumentParser, *, url: str = "http://127.0.0.1:8080") -> None:
    """What a parser takes for it. `url` of the gateway, where the command line does not say."""
    commands = top.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="ask both tiers of a running gateway, and fit to that")
    log = commands.add_parser("log", help="fit to what a gateway wrote to cascade.outcome_log")
    measure = commands.add_parser(
        "measure", help="ask the cascade as it is, and the top tier, on held-out questions"
    )
    for command in (ask, measure):
        command.add_argument("--url", default=url, help="default: %(default)s")
        command.add_argument("--questions", type=int, default=1600, help="default: %(default)s")
        command.add_argument("--max-tokens", type=int, default=160, help="of an answer")
        command.add_argument(
            "--at-once", type=int, default=8, help="questions; default: %(default)s"
        )
        command.add_argument("--upper", default=CLOUD, help="default: %(default)s")
    ask.add_argument(
        "--methods", default="logprobs", help=f"of {', '.join(METHODS)}; default: %(default)s"
    )
    log.add_argument("file", type=Path)
    for command in (ask, log):
        command.add_argument("--window", type=int, default=4, help="tokens; default: %(default)s")
        command.add_argument("--output", type=Path, required=True, help="the predictor's file")
        command.add_argument("--plot", type=Path, help="default: beside the predictor, as .png")
        command.add_argument("--isotonic", action="store_true", help="by isotonic regression")
    measure.add_argument("--quality", type=float, help="default: the gateway's own")
    measure.add_argument("--confidence", choices=METHODS, help="default: the gateway's own")
    measure.add_argument("--stream-mode", choices=("whole", "exact", "live"), default="whole")
    top.add_argument("--results", type=Path, default=CHECKOUT / "bench-results", help="folder")


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Raises BenchmarkFailure for what can't work; argparse exits for what it can't read."""
    return checked(parser().parse_args(argv))


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """Raises BenchmarkFailure for what can't work."""
    if arguments.command == "ask":
        arguments.methods = tuple(arguments.methods.split(","))
        for method in arguments.methods:
            if method not in METHODS:
                raise BenchmarkFailure(
                    f"--methods: unknown {method!r}; known: {', '.join(METHODS)}", 2
                )
    if getattr(arguments, "questions", LEAST_QUESTIONS) < LEAST_QUESTIONS:
        raise BenchmarkFailure(f"--questions: {LEAST_QUESTIONS} at least", 2)
    return arguments
