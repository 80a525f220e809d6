"""What --set and its kin give, by Helm's own rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8s.preflight.failure import UsageFailure
from k8s.preflight.settings import READERS, Setting, in_order, with_settings

FILES = {"pools": {"edge": {"replicas": 1, "urls": ["a", "b", "c"]}}, "tag": "one"}


def values(*flags: tuple[str, str]) -> dict[str, Any]:
    return with_settings(FILES, [Setting(flag, expression) for flag, expression in flags])


def test_each_flag_reads_its_value_as_helm_does(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("of a file")
    found = values(
        ("set", "pools.edge.replicas=2,a=true,list={x,y}"),
        ("set-string", "b=2"),
        ("set-file", f"ca={file}"),
        ("set-json", 'deep={"c": [1, 2]}'),
        ("set-literal", "d=1,e=2"),
    )
    assert found["pools"]["edge"]["replicas"] == 2
    assert (found["a"], found["b"], found["ca"]) == (True, "2", "of a file")
    assert (found["list"], found["deep"], found["d"]) == (["x", "y"], {"c": [1, 2]}, "1,e=2")
    assert found["tag"] == "one"


def test_an_item_that_is_named_by_its_number_leaves_the_others() -> None:
    urls = values(("set", "pools.edge.urls[1]=new"))["pools"]["edge"]["urls"]
    assert urls == ["a", "new", "c"]
    assert values(("set", "pools.edge.urls={new}"))["pools"]["edge"]["urls"] == ["new"]
    assert values(("set", "pools.edge.urls[3]=d"))["pools"]["edge"]["urls"] == [*"abc", "d"]
    assert values(("set", "new[0].name=x,new[0].value=y"))["new"] == [{"name": "x", "value": "y"}]


def test_a_null_removes_and_a_name_with_a_dot_stays_whole() -> None:
    assert values(("set", "tag=null"))["tag"] is None
    found = values(("set", r"labels.example\.org/team=ai"))
    assert found["labels"] == {"example.org/team": "ai"}


def test_flags_count_in_helms_order_and_not_in_that_of_the_line() -> None:
    typed = [Setting("set-string", "tag=text"), Setting("set", "tag=1"), Setting("set", "tag=2")]
    assert with_settings(FILES, typed)["tag"] == "text"
    assert [each.flag for each in in_order(typed)] == ["set", "set", "set-string"]
    assert list(READERS) == ["set-json", "set", "set-string", "set-file", "set-literal"]


@pytest.mark.parametrize(
    ("flag", "expression", "words"),
    [
        ("set", "gateway.token", "--set gateway.token: can't be read"),
        ("set", "a={s3cret", "--set a: can't be read"),
        ("set-json", "a={s3cret", "--set-json a: what stands after = is no JSON"),
        ("set-file", "ca=/s3cret/absent", "--set-file ca: needs NAME=FILE"),
    ],
)
def test_what_can_not_be_read_is_named_without_its_value(
    flag: str, expression: str, words: str
) -> None:
    with pytest.raises(UsageFailure) as refused:
        values((flag, expression))
    assert str(refused.value).startswith(words)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)
