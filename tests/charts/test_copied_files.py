"""Files that stand in several charts, as a chart can read only its own, are equal."""

from __future__ import annotations

from tests.charts.helm import CHARTS


def test_both_charts_ask_in_the_same_way() -> None:
    gateway, pool = (CHARTS / chart / "files/ask.py" for chart in ("gateway", "model-pool"))
    assert gateway.read_bytes() == pool.read_bytes()
