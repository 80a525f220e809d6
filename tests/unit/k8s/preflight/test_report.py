"""The table, its JSON form, and the exit code."""

import json

from k8s.preflight.report import Finding, Result, as_json, as_table, exit_code

FINE = Finding(check="version", result=Result.OK, found="v1.31.0")
LACKING = Finding(check="KEDA", result=Result.MISSING, found="no ScaledObject", todo="install KEDA")
LONG = Finding(check="nodes", result=Result.WARNING, found="word " * 30, todo="do this " * 20)


def test_only_what_is_missing_makes_the_run_fail() -> None:
    unchecked = Finding(check="image", result=Result.NOT_CHECKED, found="no answer")
    assert exit_code([FINE, LONG, unchecked]) == 0
    assert exit_code([FINE, LACKING]) == 1


def test_the_table_has_a_line_for_each_finding_below_its_heading() -> None:
    heading, fine, lacking = as_table([FINE, LACKING]).splitlines()
    assert heading.split() == ["CHECK", "RESULT", "FOUND", "WHAT", "TO", "DO"]
    assert fine.split() == ["version", "ok", "v1.31.0"]
    assert lacking.index("install KEDA") == heading.index("WHAT TO DO")


def test_long_cells_go_on_below_themselves_and_lose_no_word() -> None:
    table = as_table([LONG])
    assert max(map(len, table.splitlines())) <= 140
    assert table.count("word") == 30
    assert table.count("this") == 20


def test_json_has_the_same_findings() -> None:
    loaded = json.loads(as_json([LACKING]))
    assert loaded == [
        {"check": "KEDA", "result": "missing", "found": "no ScaledObject", "todo": "install KEDA"}
    ]
