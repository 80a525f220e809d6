"""The workload of a load test: its settings from the environment, and the requests' bodies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.protocol.configuration.urls import url_problem
from gateway.protocol.virtual_models import AUTO, CLOUD, EDGE
from loadtest.measure.chat import chat_body
from loadtest.measure.command import BenchmarkFailure
from loadtest.prompts import questions

DEFAULT_MODELS = f"{AUTO}:2,{EDGE}:1,{CLOUD}:1"
VARIABLES = {
    "TIERFLOW_URL": ("", "the gateway's address; empty: of TIERFLOW_PORT on this machine"),
    "TIERFLOW_LOAD_MODELS": (DEFAULT_MODELS, "model:weight, separated by commas"),
    "TIERFLOW_LOAD_USERS": ("4", "users at the same time"),
    "TIERFLOW_LOAD_RATE": ("2", "users that start per second"),
    "TIERFLOW_LOAD_SECONDS": ("60", "how long the load lasts"),
    "TIERFLOW_LOAD_MAX_TOKENS": ("64", "most tokens of an answer"),
    "TIERFLOW_LOAD_PAUSE": ("0", "seconds a user waits between two questions"),
    "TIERFLOW_LOAD_SEED": ("1", "seed of questions and of the choice of models"),
}
"""Variable: (default, meaning)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The settings of a load test: which models are asked, by how many users, and for how long.

    `models` maps a name to its share, above 0; `rate` is in users per second."""

    url: str
    models: Mapping[str, float]
    users: int
    rate: float
    seconds: float
    max_tokens: int
    pause_s: float
    seed: int


def read_workload(environ: Mapping[str, str] = os.environ) -> Workload:
    """Read the variables; empty ones count as absent.

    Raises BenchmarkFailure with exit code 2, naming the variable.
    """
    values = {name: environ.get(name) or default for name, (default, _) in VARIABLES.items()}
    return Workload(
        url=_url(values["TIERFLOW_URL"] or _own_url(environ.get("TIERFLOW_PORT") or "8080")),
        models=parse_models(values["TIERFLOW_LOAD_MODELS"]),
        users=int(_number(values, "TIERFLOW_LOAD_USERS", whole=True)),
        rate=_number(values, "TIERFLOW_LOAD_RATE"),
        seconds=_number(values, "TIERFLOW_LOAD_SECONDS"),
        max_tokens=int(_number(values, "TIERFLOW_LOAD_MAX_TOKENS", whole=True)),
        pause_s=_number(values, "TIERFLOW_LOAD_PAUSE", zero=True),
        seed=int(_number(values, "TIERFLOW_LOAD_SEED", whole=True, zero=True)),
    )


def describe() -> str:
    """The variables with their defaults, for a command's help."""
    width = max(map(len, VARIABLES))
    lines = [
        f"  {name:<{width}}  {meaning} [{default}]"
        for name, (default, meaning) in VARIABLES.items()
    ]
    return "\n".join(["variables:", *lines])


def parse_models(text: str) -> dict[str, float]:
    """`a:2,b` is a with weight 2 and b with weight 1. Raises BenchmarkFailure."""
    models: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.strip().rpartition(":")
        if not colon:
            name, weight = part.strip(), "1"
        models[name] = _positive(weight)
        if not name or not models[name]:
            raise BenchmarkFailure(
                f"TIERFLOW_LOAD_MODELS={text}: expected model:weight with weights above 0, "
                "separated by commas",
                2,
            )
    return models


def bodies(workload: Workload, user: int) -> Iterator[dict[str, Any]]:
    """The chat requests of user number `user`, without end; the same for the same seed."""
    rng = Random(f"{workload.seed} {user}")
    names, weights = list(workload.models), list(workload.models.values())
    for question in questions(rng.randrange(2**32)):
        model = rng.choices(names, weights)[0]
        yield chat_body(model, question, max_tokens=workload.max_tokens, stream=True)


def _number(
    values: Mapping[str, str], name: str, *, whole: bool = False, zero: bool = False
) -> float:
    number = _positive(values[name])
    if zero and values[name].strip() in ("0", "0.0"):
        return 0.0
    if not number or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise BenchmarkFailure(
            f"{name}={values[name]}: expected {kind} {'of 0 or more' if zero else 'above 0'}", 2
        )
    return number


def _positive(text: str) -> float:
    """The number, if it is finite and above 0; else 0.0."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0.0 < number < 1e9 else 0.0


def _own_url(port: str) -> str:
    """Of the gateway that `make up` has started on this machine."""
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise BenchmarkFailure(f"TIERFLOW_PORT={port}: must be a port, 1 to 65535", 2)
    return f"http://127.0.0.1:{port}"


def _url(text: str) -> str:
    if problem := url_problem(text):
        raise BenchmarkFailure(f"TIERFLOW_URL={text}: {problem}", 2)
    return text.rstrip("/")
