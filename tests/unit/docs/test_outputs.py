"""Shown outputs are compared by shape: what may differ does, and what breaks one is seen."""

from __future__ import annotations

import pytest

from tests.documents.blocks import BrokenExample
from tests.documents.outputs import compared, shape_differences, unknown_fields

SAME = [
    ("took 31 tokens in 153 ms", "took 7 tokens in 12.5 ms"),
    ("tfe_kP1…", "tfe_abcDEF-123"),
    (".===.=", "==.==="),
    ("up\n  …\ndown", "up\nmuch\nmore\ndown"),
    ("code Answer: …", "code Answer: to be or not"),
    ("tf-0Jx…     # shown once", "tf-0Jxabcd"),
    ('{"id":"chatcmpl-1","n":[{"a":1}], …', '{"id": "x", "n": [{"a": 2, "b": 3}]}'),
    ('{"id":"x","confidence":null}', '{"id":"y","confidence":0.4}'),
]
OTHER = [
    ("took 31 tokens", "took 31 token"),
    ("tfe_kP1…", "tfd_kP1"),
    (".===.=", "written by the device"),
    ("up\ndown", "up\nmuch\ndown"),
    ("up", "up\nand more"),
    ('{"id":"x", "n": …', '{"id":"x"}'),
    ('{"id":"x","n":1}', '{"id":"x"}'),
    ('{"id":"x","n":1}', '{"id":"x","n":"1"}'),
    ('{"id":"x"}', '{"id":"x","n":1}'),
]


@pytest.mark.parametrize("shown, printed", SAME)
def test_numbers_ids_and_what_is_cut_may_differ(shown: str, printed: str) -> None:
    compared(shown, printed)


@pytest.mark.parametrize("shown, printed", OTHER)
def test_other_words_and_fields_are_seen(shown: str, printed: str) -> None:
    with pytest.raises(BrokenExample):
        compared(shown, printed)


def test_each_element_that_is_shown_is_like_one_that_is_printed() -> None:
    shown = [{"device": "a", "share": 1.0}, {"device": "b", "code": "lost"}]
    printed = [{"device": "c", "share": 0.5, "code": "late"}]
    assert shape_differences(shown, printed) == []
    assert shape_differences(shown, [{"device": "c", "share": 0.5}])
    assert unknown_fields(shown, printed) == []
