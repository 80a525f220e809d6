"""Requests by the gateway's own description: all of schemathesis's checks, on every operation."""

from __future__ import annotations

from typing import Any

import httpx
import schemathesis
from schemathesis import engine
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    NotAServerErrorConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.engine import events

from gateway.api.console.routes import PATH as CONSOLE
from gateway.api.description.bodies import BODIES
from gateway.api.description.responses import status_of_code
from gateway.api.inference import PATHS as INFERENCE
from gateway.protocol.device_link.devices import ENROL_PATH
from tests.deployment import FAMILY
from tests.fuzz.findings import Findings
from tests.fuzz.rig import ADMIN_TOKEN, DEVICE, MODELS, Rig

EXAMPLES = 10_000
"""So many of each operation would be tried; the time is over before."""
MEANT = frozenset({"deadline_exceeded", "no_device", "too_few_members", "no_endpoint"})
"""Codes of 5xx that a healthy gateway before healthy engines may answer with: the request asked for
what is not there, or for more speed than can be."""
_MODEL_OPTIONAL = frozenset({"TokenizeBody", "DetokenizeBody"})
VIRTUAL = ("tierflow-edge", "tierflow-auto", "tierflow-cascade", "tierflow-collective")
SERVER_ERRORS = ["2xx", "3xx", "4xx", *sorted({str(status_of_code(code)) for code in MEANT})]
ACCEPTED = ["2xx", "400", "401", "403", "404", "405", "409", "410", "413", "429", "503", "504"]
"""What a request that fits the description may get: not every rule can be described. Two fields may
not fit together, and a name need not exist."""


def fuzz_described(
    rig: Rig, seconds: float, seed: int, findings: Findings, examples: int | None = None
) -> None:
    """Allowed and forbidden requests of every operation, one by one and in sequences. `examples`:
    only so many of each, one by one."""
    document = httpx.get(f"{rig.url}/openapi.json").json()
    config = _config(rig, seconds, seed, examples)
    schema = schemathesis.openapi.from_dict(narrowed(document), config=config)
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished):
            _record(event.recorder, findings)
        elif isinstance(event, events.NonFatalError):
            findings.violation(event.label, str(event.info), "")
        elif isinstance(event, events.FatalError):
            findings.violation("the description", repr(event.exception), "")


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The same description with the names that exist here: at names drawn by chance every request
    would end before it has begun. Without the console's events, which do not end."""
    del document["paths"][f"{CONSOLE}/events"]
    schemas = document["components"]["schemas"]
    for name in set(BODIES.values()) - _MODEL_OPTIONAL:
        schemas[name]["properties"]["model"] = {"enum": [*MODELS, *VIRTUAL]}
    for name in _MODEL_OPTIONAL:
        schemas[name]["properties"]["model"] = {"enum": [*MODELS, None]}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                _narrow(path, parameter)
    return document


def _narrow(path: str, parameter: dict[str, Any]) -> None:
    known = {
        "x-tierflow-min-quality": {"enum": FAMILY[1:]},
        "x-tierflow-max-tier": {"enum": ["edge", "cloud"]},
        "x-tierflow-deadline-ms": {"type": "number", "minimum": 30_000, "maximum": 60_000},
    }
    if parameter["name"] in known:
        parameter["schema"] = known[parameter["name"]]
    elif path == "/v1/models/{name}":
        parameter["schema"] = {"enum": [*MODELS, *VIRTUAL, "of nobody"]}
    elif path == "/v1/devices/{id}":
        parameter["schema"] = {"enum": [DEVICE, "of nobody"]}


def _config(rig: Rig, seconds: float, seed: int, examples: int | None) -> SchemathesisConfig:
    checks = ChecksConfig(
        not_a_server_error=NotAServerErrorConfig(expected_statuses=SERVER_ERRORS),
        positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=ACCEPTED),
    )
    project = ProjectConfig(
        base_url=rig.url,
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        continue_on_failure=True,
        request_timeout=30,
        checks=checks,
        generation=GenerationConfig(max_examples=examples or EXAMPLES, no_shrink=True),
    )
    if examples:
        project.phases.update(phases=["fuzzing"])
    return SchemathesisConfig(
        seed=seed,
        # With a limit of time it begins again and again until that is over.
        max_time=None if examples else max(1, round(seconds)),
        projects=ProjectsConfig(default=project),
    )


def _record(recorder: Any, findings: Findings) -> None:
    for id, interaction in recorder.interactions.items():
        case = recorder.cases[id].value
        label = f"{case.method.upper()} {case.operation.path}"
        findings.inputs["described requests"] += 1
        if interaction.response is not None:
            note_answer(findings, label, interaction.response, case.as_curl_command())
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None and not _meant(recorder.label, check.name):
                failure = check.failure_info.failure
                shown = f"{failure.message}\n{check.failure_info.code_sample}"
                findings.violation(f"{recorder.label}: {check.name}", failure.title, shown)


def _meant(label: str, check: str) -> bool:
    """An inference body that breaks its schema may be taken: numbers and booleans may be texts, as
    for vLLM, and of most routes' bodies the engine is the judge. A device may be named `enrol`."""
    if check == "negative_data_rejection":
        return label.split()[-1] in INFERENCE
    of_methods = check in ("unsupported_method", "allow_header_conformance")
    return of_methods and label.endswith(ENROL_PATH)


def note_answer(findings: Findings, label: str, response: Any, shown: str) -> None:
    """Count an answer; a 5xx whose code is not meant is a fault."""
    status, code = response.status_code, code_of(response)
    findings.statuses[f"{label} {status} {code}"] += 1
    if status >= 500 and code not in MEANT and not label.endswith("/ready"):
        findings.server_error(label, f"{status} {code}", shown)


def note_undescribed(rig: Rig, findings: Findings) -> None:
    """Whatever status was seen of a described operation must stand in its description."""
    paths = httpx.get(f"{rig.url}/openapi.json").json()["paths"]
    for answer in findings.statuses:
        method, path, status, *_ = answer.split()
        operation = paths.get(path, {}).get(method.lower())
        if operation and not {status, f"{status[0]}XX"} & set(operation["responses"]):
            findings.violation(f"{method} {path}", f"{status} is not described", answer)


def code_of(response: Any) -> str:
    """The code in an error's body, "" where there is none."""
    try:
        error = response.json()["error"]
        return str(error.get("code"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
