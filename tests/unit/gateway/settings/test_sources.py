"""Where values come from: a file's text, and variables over it; nothing is lost between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.settings import Settings, settings_problems
from gateway.settings.checks.problems import WrongSettings

POOL = '{tier: edge, endpoints: ["http://127.0.0.1:1"]}'
GOOD = f"pools:\n  edge: {POOL}\n"
IDLE = "TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S"


def test_a_pool_or_group_that_stands_twice_is_named_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GOOD + f"  edge: {POOL}\ntimeouts: {{idle_s: 3}}\ntimeouts: {{body_s: 3}}\n")
    with pytest.raises(WrongSettings) as refused:
        Settings.load(file)
    assert refused.value.problems == (
        f"config file {file}: pools.edge stands in line 2 and again in line 3; keep one",
        f"config file {file}: timeouts stands in line 4 and again in line 5; keep one",
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "TIERFLOW_GATEWAY_TIMEOUTS",
            '{"idle_s": 3, "idle_s": 4}',
            "TIERFLOW_GATEWAY_TIMEOUTS: idle_s stands twice in one object; keep one",
        ),
        (IDLE, "soon", "timeouts.idle_s: expected a number, such as 1.5, got 'soon'"),
        (IDLE, "inf", "timeouts.idle_s: expected a finite number, got 'inf'"),
        (
            "TIERFLOW_GATEWAY_TIMEOUTS__IDEL_S",
            "3",
            f"TIERFLOW_GATEWAY_TIMEOUTS__IDEL_S is no variable of Tierflow; did you mean {IDLE}?",
        ),
        ("TIERFLOW_GATEWAY_POOLS", "[" * 100_000, "a variable holds JSON that is nested too deep"),
    ],
    ids=["twice", "text", "inf", "unknown", "deep"],
)
def test_a_variable_that_can_not_work_is_named(name: str, value: str, problem: str) -> None:
    assert settings_problems(GOOD, {name: value}) == (problem,)


def test_a_variable_in_two_spellings_is_refused() -> None:
    (problem,) = settings_problems(GOOD, {IDLE: "3", IDLE.lower(): "4"})
    assert problem == (
        f"{IDLE} and {IDLE.lower()} are the same variable; take one out of the environment"
    )


def test_the_given_variables_hold_and_not_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(IDLE, "soon")
    assert settings_problems(GOOD, {}) == ()
    pools = json.dumps({"cloud": {"tier": "cloud", "endpoints": ["http://127.0.0.1:2"]}})
    merged = Settings.parse(GOOD, {"TIERFLOW_GATEWAY_POOLS": pools, IDLE: "7"})
    assert sorted(merged.pools) == ["cloud", "edge"]
    assert merged.timeouts.idle_s == 7


def test_every_wrong_setting_has_a_sentence_of_its_own() -> None:
    text = GOOD + "timeouts: {idle_s: 0}\nlimits: {max_queue: x}\n"
    assert settings_problems(text, {"TIERFLOW_GATEWAY_LOG_LEVEL": "info"}) == (
        "timeouts.idle_s: expected more than 0, got 0",
        "limits.max_queue: expected a whole number, such as 3, got 'x'",
    )


@pytest.mark.parametrize("text", ["", "[1]", "3", b"\xff\xff"])
def test_text_that_holds_no_settings_is_refused_in_words(text: str | bytes) -> None:
    (problem,) = settings_problems(text, {})
    assert problem.startswith("the settings")


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    with file.open("wb") as large:
        large.truncate(9 * 1024 * 1024)
    with pytest.raises(WrongSettings, match="has more than 8388608 bytes"):
        Settings.load(file)
