"""Runs the preflight against the stand-ins and gives back what it printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from k8s.preflight.__main__ import main
from tests.integration.preflight.cluster import (
    healthy,
    index,
    kubeconfig,
    manifest_path,
    manifests,
)
from tests.stand_in import StandIn, stand_in
from tierflow.gateway_settings import refusal

PATIENT_S = 20.0
"""For answers that do come, however busy this machine is."""


@dataclass
class Outcome:
    code: int
    rows: dict[str, dict[str, str]]
    """By check."""

    def result(self, check: str) -> str:
        return self.rows[check]["result"]


Preflight: TypeAlias = Callable[..., Outcome]


@pytest.fixture
def api() -> Iterator[StandIn]:
    with stand_in(healthy()) as server:
        yield server


@pytest.fixture
def registry() -> Iterator[StandIn]:
    with stand_in({manifest_path(): index("amd64", "arm64")}) as server:
        yield server


@pytest.fixture
def preflight(
    api: StandIn,
    registry: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Preflight:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def run(
        *,
        gpus: int = 0,
        objects: Sequence[dict[str, Any]] = (),
        values: Sequence[Path] = (),
        settings: Sequence[str] = (),
        server: str | None = None,
        timeout_s: float = PATIENT_S,
    ) -> Outcome:
        """Of the stand-ins' own manifests, with others beside them, or of the chart with values."""
        rendered, config = tmp_path / "rendered.yaml", tmp_path / "kubeconfig"
        rendered.write_text(yaml.safe_dump_all([*manifests(registry, gpus=gpus), *objects]))
        config.write_text(yaml.safe_dump(kubeconfig(server or api.url)))
        files = [part for file in values for part in ("--values", str(file))]
        given = [*files, *settings] if files or settings else ["--manifests", str(rendered)]
        code = main(
            [
                *given,
                *("--kubeconfig", str(config)),
                *("--timeout", str(timeout_s), "--output", "json"),
            ],
            refusal,
        )
        rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
        return Outcome(code, rows)

    return run
