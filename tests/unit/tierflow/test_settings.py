from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.reference.settings import sections
from gateway.settings import Settings
from tierflow.command_line import main

CONFIG = """\
pools:
  near: {tier: edge, endpoints: ["http://127.0.0.1:8101"], api_key: hidden-one}
timeouts: {idle_s: 12}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIERFLOW_STATE", str(tmp_path / "state"))
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    return file


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, Any]]:
    assert main(["settings", "--json", *words]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_the_annotated_example_is_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "--yaml"]) == 0
    example = capsys.readouterr().out
    file = tmp_path / "example.yaml"
    file.write_text(example)
    loaded = Settings.load(file)
    for name, field in Settings.model_fields.items():
        if name not in ("pools", "profiles"):
            assert getattr(loaded, name) == field.default
    for section in sections():
        if "<" not in section.path and "[" not in section.path:
            assert [s.path for s in section.settings if f"{s.name}:" not in example] == []


def test_a_value_is_shown_with_where_it_comes_from(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_TIMEOUTS__BODY_S", "7")
    monkeypatch.setenv("TIERFLOW_PORT", "9999")
    found = rows(capsys, "--config", str(config))
    assert found["timeouts.idle_s"]["value"] == "12"
    assert found["timeouts.idle_s"]["origin"] == f"file {config}"
    assert found["timeouts.body_s"]["origin"] == "variable TIERFLOW_GATEWAY_TIMEOUTS__BODY_S"
    assert found["timeouts.connect_s"]["origin"] == "default"
    assert found["pools.near.tier"]["value"] == "edge"
    assert found["TIERFLOW_PORT"]["value"] == "9999"
    assert all(row["meaning"] for row in found.values())


def test_secrets_are_not_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    assert "hidden-one" not in shown
    assert "pools.near.api_key = (set; a secret)" in shown


def test_those_can_be_chosen_that_are_not_default(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(capsys, "--config", str(config), "--changed", "timeouts")
    assert list(found) == ["timeouts.idle_s"]


def test_without_an_instance_the_defaults_are_shown(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {row["origin"] for row in rows(capsys, "timeouts").values()} == {"default"}


@pytest.mark.parametrize("words", [["lifecylce"], ["timeouts.idel_s"]])
def test_a_name_that_is_no_setting_is_answered_with_the_nearest(
    words: list[str], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", *words]) == 2
    assert "did you mean" in capsys.readouterr().err
