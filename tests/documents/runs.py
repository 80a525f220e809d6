"""Which examples `make test` runs, which `make test-examples` runs, and why others are run by
neither."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.documents.blocks import Example

QUICK = "make test"
LONG = "make test-examples"
"""Before real engines, where the examples of QUICK are played as well."""
IMAGES = "container images; `make test-containers`"
CLUSTER = "a cluster or Helm's command; tests/charts renders the charts"
NEEDS: Mapping[str, str] = {
    r"\[--name": "a synopsis, which the parser reads",
    r"\b(docker|podman|podman-compose|kind) ": IMAGES,
    r"make (images|test-containers|compose-secrets)": IMAGES,
    r"\b(helm|kubectl|preflight)\b|make test-cluster|OPENAI_API_KEY|deploy\.charts": CLUSTER,
    r"model_family (train|export|specialise|aggregator|further)": (
        "hours of training; the unit tests of the family take some steps"
    ),
    r"^make (bench|chaos|soak)": "up to an hour; its QUICK=1 is run",
    r"^make (lint|docs|test)": "checks with targets of their own",
    r"^python -m loadtest\.load$": "what `make load` runs",
    r"^base=": "a variable of the command after it",
}
"""What an example needs that one machine alone has not, or what runs it in another form, by what
stands in it."""
STORY = "docs/reliability.md"
"""Its commands are a story of processes that are killed, and played as a whole."""
RUNS_LONG = (
    r"^make (up|down|status|logs|help|device|ask|load)\b",
    r"^QUICK=1 make ",
    r"^pip install",
    r"^tierflow device --gateway",
    r"^tierflow (calibrate (ask|measure)|ask|logs)",
    r"collective/feedback",
    r"loadtest\.link",
    r"\| nc ",
    r"-m services\.engine_simulator",
    r"model_family (evaluate|onnx)",
    r"Qwen|~/models",
    r'"prediction":',
)
_ADDRESS = r"(127\.0\.0\.1|localhost):\d+/|base_url="
RUNS_QUICK = (
    _ADDRESS,
    r"^(TIERFLOW_PORT=\d+ )?tierflow (admin|settings|calibrate log)\b",
    r"^TIERFLOW_ENROLMENT_TOKEN",
    r"^export TIERFLOW_ADMIN_TOKEN",
    r"model_family questions",
)


def run_by(example: Example) -> str:
    """QUICK, LONG, or what it needs that is not there. Empty: nobody has said."""
    text = re.sub(r"\s+# .*", "", example.text)
    if need := next((why for mark, why in NEEDS.items() if re.search(mark, text)), ""):
        return need
    if example.page == STORY or any(re.search(mark, text) for mark in RUNS_LONG):
        return LONG
    return QUICK if any(re.search(mark, text) for mark in RUNS_QUICK) else ""
