from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.configuration.strict_yaml import RepeatedKeys, read_yaml, yaml_problem

names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
maps = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), names),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(maps, st.booleans())
def test_what_has_no_key_twice_is_read_as_yaml_itself_reads_it(value: object, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert read_yaml(text) == yaml.safe_load(text)


@given(st.dictionaries(names, st.integers(), min_size=1, max_size=5), st.data(), st.integers(0, 3))
def test_a_key_that_stands_twice_is_named_with_both_lines(
    value: dict[str, int], data: st.DataObject, depth: int
) -> None:
    lines = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).splitlines()
    twice = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(twice + 1, len(lines)))
    lines.insert(place, lines[twice])
    text = "".join(f"{'  ' * level}level{level}:\n" for level in range(depth))
    text += "".join(f"{'  ' * depth}{line}\n" for line in lines)
    with pytest.raises(RepeatedKeys) as refused:
        read_yaml(text)
    (key,) = refused.value.keys
    assert (key.first_line, key.line) == (depth + twice + 1, depth + place + 1)
    assert key.path.count(".") == depth and key.path.rpartition(".")[2] == list(value)[twice]


def test_every_key_that_stands_twice_is_named_at_once() -> None:
    text = "a: 1\nb: [{c: 1, 'c': 2}]\na: 2\na: 3\n"
    with pytest.raises(RepeatedKeys) as refused:
        read_yaml(text)
    assert str(refused.value) == (
        "b.0.c stands in line 2 and again in line 2; keep one; "
        "a stands in line 1 and again in line 3; keep one; "
        "a stands in line 1 and again in line 4; keep one"
    )


def test_what_an_alias_or_a_merge_adds_is_no_key_twice() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {c: 3}\nboth: {<<: *base, <<: *more, a: 4}\n"
    assert read_yaml(text + "again: *base")["both"] == {"a": 4, "b": 2, "c": 3}
    assert read_yaml("") is None


def test_a_map_that_holds_itself_ends() -> None:
    found = read_yaml("a: &a {b: *a}")
    assert found["a"]["b"] is found["a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("key: 'sk-secret\n", "line 2, column 1: found unexpected end of stream"),
        ("a: sk-secret: 1", "line 1, column 13: mapping values are not allowed here"),
        ("a: 2026-99-99", "a date or a number that is none"),
    ],
)
def test_a_problem_has_a_line_and_quotes_nothing(text: str, problem: str) -> None:
    with pytest.raises((yaml.YAMLError, ValueError)) as refused:
        read_yaml(text)
    assert isinstance(refused.value, yaml.YAMLError | ValueError)
    assert yaml_problem(refused.value) == problem
