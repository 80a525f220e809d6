"""Every environment variable that a part of Tierflow reads, and the names that are none of them.

A variable may be meant for another part than the one that looks: `make up` hands its environment to
all of them. Only a name that no part reads is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from gateway.protocol.nearest import misspelt, nearest

PREFIX = "TIERFLOW_"
SETTINGS_PREFIX = "TIERFLOW_GATEWAY_"
"""Begins the variables of the gateway's settings, which the gateway alone knows."""

READERS: Mapping[str, tuple[str, ...]] = {
    "tierflow up": (
        "TIERFLOW_PORT",
        "TIERFLOW_DEVICE_PORT",
        "TIERFLOW_EDGE_PORT",
        "TIERFLOW_CLOUD_PORT",
        "TIERFLOW_EDGE_MODEL",
        "TIERFLOW_CLOUD_MODEL",
        "TIERFLOW_DEVICE_MODEL",
        "TIERFLOW_DEVICES",
        "TIERFLOW_DTYPE",
        "TIERFLOW_KV_CACHE_GIB",
        "TIERFLOW_MAX_MODEL_LEN",
        "TIERFLOW_ENGINE",
        "TIERFLOW_SPECULATION",
        "TIERFLOW_EDGE_DRAFT_PORT",
        "TIERFLOW_CLOUD_DRAFT_PORT",
        "TIERFLOW_ENGINE_ARGS",
        "TIERFLOW_ENGINE_PYTHON",
        "TIERFLOW_START_TIMEOUT",
        "TIERFLOW_STATE",
        "TIERFLOW_CACHE",
    ),
    "other commands": (
        "TIERFLOW_URL",
        "TIERFLOW_ADMIN_TOKEN",
        "TIERFLOW_API_KEY",
        "TIERFLOW_QUESTION",
    ),
    "the device agent": ("TIERFLOW_DEVICE_TOKEN", "TIERFLOW_ENROLMENT_TOKEN"),
    "engines": (
        "TIERFLOW_DRAFT_SECRET",
        "TIERFLOW_DRAFT_MAILBOX",
        "TIERFLOW_DRAFT_CHOICE",
        "TIERFLOW_DRAFT_TLS_CERTIFICATE",
        "TIERFLOW_DRAFT_TLS_KEY",
        "TIERFLOW_DRAFT_TLS_CLIENT_CA",
        "TIERFLOW_STEP_WAIT_MS",
    ),
    "docker compose": (
        "TIERFLOW_OPERATIONS_PORT",
        "TIERFLOW_PROMETHEUS_PORT",
        "TIERFLOW_GRAFANA_PORT",
        "TIERFLOW_MODELS",
        "TIERFLOW_EDGE_NAME",
        "TIERFLOW_CLOUD_NAME",
        "TIERFLOW_EDGE_GPU",
        "TIERFLOW_CLOUD_GPU",
        "TIERFLOW_EDGE_GPU_SHARE",
        "TIERFLOW_CLOUD_GPU_SHARE",
        "TIERFLOW_ENGINE_MEMORY",
        "TIERFLOW_ENGINE_THREADS",
    ),
    "the charts": ("TIERFLOW_DOWNLOADS", "TIERFLOW_EXCLUDE"),
    "load tests and benchmarks": (
        "TIERFLOW_LOAD_MODELS",
        "TIERFLOW_LOAD_USERS",
        "TIERFLOW_LOAD_RATE",
        "TIERFLOW_LOAD_SECONDS",
        "TIERFLOW_LOAD_MAX_TOKENS",
        "TIERFLOW_LOAD_PAUSE",
        "TIERFLOW_LOAD_SEED",
        "TIERFLOW_LOAD_RESULTS",
        "TIERFLOW_BENCH_FAMILY",
        "TIERFLOW_BENCH_RESULTS",
    ),
    "tests": (
        "TIERFLOW_TEST_FAMILY",
        "TIERFLOW_TEST_GGUF",
        "TIERFLOW_MODEL_TESTS",
        "TIERFLOW_CLIENT_TESTS",
        "TIERFLOW_EXAMPLE_TESTS",
        "TIERFLOW_CLUSTER_TESTS",
        "TIERFLOW_CLUSTER_VALUES",
    ),
}
"""The variables by who reads them, but for those of the gateway's settings."""

KNOWN = frozenset(name for names in READERS.values() for name in names)

_OF_A_SERVICE = re.compile(
    r"(.*)_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)",
    re.ASCII,
)
"""What Kubernetes tells a container of every Service of its namespace, by the Service's name."""
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def variables_problem(
    environ: Mapping[str, str],
    setting_problem: Callable[[str], str] = lambda name: "",
    settings: Iterable[str] = (),
) -> str:
    """One line that names every variable in `environ` that begins as ours do and that no part
    reads, each with the nearest right name; empty where there is none. Values stay out.

    `setting_problem` tells what is wrong with the name of a gateway's setting, and `settings` are
    such names that others may have been meant for: both come from the gateway, the one that reads
    them.
    """
    problems = []
    for name in sorted(environ):
        if is_of_a_service(name, environ):
            continue
        if name.upper().startswith(SETTINGS_PREFIX):
            if problem := setting_problem(name.upper()):
                problems.append(problem)
        elif name.upper().startswith(PREFIX):
            if name not in KNOWN:
                problems.append(unknown_variable(name, [*KNOWN, *settings], PREFIX))
        elif meant := _with_its_beginning_right(name):
            problems.append(_unknown(name, meant))
    return "; ".join(problems)


def unknown_variable(name: str, known: Iterable[str], prefix: str) -> str:
    """The sentence about a variable that no part reads; all names begin with `prefix`."""
    rests = (each.removeprefix(prefix) for each in known)
    meant = nearest(name[len(prefix) :], rests)
    return _unknown(name, None if meant is None else f"{prefix}{meant}")


def _unknown(name: str, meant: str | None) -> str:
    if meant is None:
        return f"{name} is no variable of Tierflow: take it out of the environment"
    return f"{name} is no variable of Tierflow; did you mean {meant}?"


def _with_its_beginning_right(name: str) -> str | None:
    """The variable that was meant where only TIERFLOW itself is misspelt; else None, as other
    programs may have names that are like ours."""
    head, _, rest = name.upper().partition("_")
    right = f"{PREFIX}{rest}"
    is_ours = right in KNOWN or right.startswith(SETTINGS_PREFIX)
    return right if is_ours and misspelt(head, [PREFIX.rstrip("_")]) else None


def is_of_a_service(name: str, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes has set it, about a Service whose name begins with `tierflow`.

    Host and port come together. One without the other is somebody's own variable.
    """
    if found := _OF_A_SERVICE.fullmatch(name):
        both = (f"{found[1]}_SERVICE_HOST", f"{found[1]}_SERVICE_PORT")
        return found[2].startswith("PORT") or all(each in environ for each in both)
    return name.endswith("_PORT") and _SERVICE_ADDRESS.match(environ[name]) is not None
