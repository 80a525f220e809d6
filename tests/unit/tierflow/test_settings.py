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


@pytest.mark.parametrize(
    ("variable", "value", "setting", "shown"),
    [
        ("TIERFLOW_GATEWAY_TIMEOUTS", '{"idle_s": 9}', "timeouts.idle_s", "9"),
        ("tierflow_gateway_timeouts__idle_s", "7", "timeouts.idle_s", "7"),
        ("TIERFLOW_GATEWAY_POOLS__NEAR__TIER", "cloud", "pools.near.tier", "cloud"),
        (
            "TIERFLOW_GATEWAY_STATE",
            '{"redis": {"url": "redis://:hidden-one@h:1"}}',
            "state.redis.url",
            "(set; a secret)",
        ),
    ],
)
@pytest.mark.parametrize("with_file", [True, False])
def test_every_form_of_a_variable_is_told_as_where_the_value_comes_from(
    variable: str,
    value: str,
    setting: str,
    shown: str,
    with_file: bool,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    row = rows(capsys, *(["--config", str(config)] * with_file))[setting]
    assert (row["value"], row["origin"]) == (shown, f"variable {variable}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIERFLOW_GATEWAY_TIMEOUTS_IDLE_S", "5"),
        ("TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S", "abc"),
        ("TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S", "-1"),
        ("TIERFLOW_ENGINE", "simulatr"),
        ("TIERFLOW_EDGE_PORT", "abc"),
    ],
)
def test_a_variable_that_can_not_work_is_refused_without_a_file_too(
    variable: str,
    value: str,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["settings", "timeouts.idle_s"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert variable in line


def test_no_devices_are_told_as_none(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERFLOW_DEVICES", "")
    row = rows(capsys, "--changed")["TIERFLOW_DEVICES"]
    assert (row["value"], row["origin"]) == ("none", "variable TIERFLOW_DEVICES")


def test_a_folder_that_follows_another_program_s_variable_is_told_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIERFLOW_STATE", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    row = rows(capsys, "TIERFLOW_STATE")["TIERFLOW_STATE"]
    assert (row["value"], row["origin"]) == (str(tmp_path), "variable XDG_STATE_HOME")


def test_a_value_that_equals_its_default_is_not_changed(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace("idle_s: 12", "idle_s: 30"))
    assert rows(capsys, "--config", str(config), "--changed", "timeouts") == {}


def test_each_setting_is_one_line_and_its_meaning(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = 'cascade: {self_check: {template: "{question}\\n{answer}", expects: same}}\n'
    config.write_text(CONFIG + check)
    assert main(["settings", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    settings = [line for line in lines if not line.startswith("    ")]
    assert [line for line in settings if "`" in line.rpartition("[")[2]] == []
    assert [line for line in settings if " = " not in line or not line.endswith("]")] == []


def test_the_example_is_of_all_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--yaml", "timeouts"]) == 2
    assert "leave out names" in capsys.readouterr().err


def test_the_last_part_of_a_name_is_answered_with_the_whole(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "idle_s"]) == 2
    assert "did you mean timeouts.idle_s?" in capsys.readouterr().err
