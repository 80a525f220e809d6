"""Files that stand in several charts, as a chart can read only its own, are equal."""

from __future__ import annotations

import pytest

from tests.charts.helm import CHARTS


@pytest.mark.parametrize("name", ["files/ask.py", "templates/_object.tpl"])
def test_a_file_of_both_charts_is_one(name: str) -> None:
    gateway, pool = (CHARTS / chart / name for chart in ("gateway", "model-pool"))
    assert gateway.read_bytes() == pool.read_bytes()
