"""The real `helm` commands of both major versions, where `make chart` has fetched them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.charts.helm_commands import PACKAGES
from k8s.preflight.rendering import Object
from tests.charts.helm import CHARTS, NAMESPACE, RELEASE

HELM_S = 60.0


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str
    said: str
    """On stderr, in one line."""

    @property
    def objects(self) -> list[Object]:
        """Of an install or a template; what is no manifest is left out."""
        text = self.output.partition("MANIFEST:\n")[2].partition("\nNOTES:")[0] or self.output
        return [each for each in yaml.safe_load_all(text) if each and "kind" in each]

    def one(self, kind: str, name: str) -> Object:
        (found,) = [
            each
            for each in self.objects
            if (each["kind"], each["metadata"]["name"]) == (kind, name)
        ]
        return found


@dataclass(frozen=True)
class Helm:
    program: Path

    def run(
        self,
        action: str,
        *options: str,
        chart: Path | str = CHARTS / "tierflow",
        values: dict[str, Any] | None = None,
    ) -> Outcome:
        command = [str(self.program), action, RELEASE, str(chart), "--namespace", NAMESPACE]
        done = subprocess.run(
            [*command, "--values", "-", *options],
            input=json.dumps(values or {}),
            capture_output=True,
            text=True,
            timeout=HELM_S,
        )
        return Outcome(done.returncode, done.stdout, " ".join(done.stderr.split()))


@pytest.fixture(params=PACKAGES, ids=[f"helm {major}" for major in PACKAGES])
def helm(request: pytest.FixtureRequest) -> Helm:
    program = PACKAGES[request.param].command
    if not program.is_file():
        pytest.skip(f"Helm {request.param} is not here; `make chart` fetches it")
    return Helm(program)
