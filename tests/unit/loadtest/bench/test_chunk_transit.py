import pytest

from loadtest.bench.canned_scenarios import request, transit_ms
from loadtest.measure.closed_loop import RequestSeries, alternating
from loadtest.measure.processes import Process


@pytest.mark.parametrize("mode", ["burst", "flush", "paced"])
def test_every_chunk_has_a_transit(canned_engine: Process, mode: str) -> None:
    requests = request(stream=True, canned=mode, max_tokens=5)
    (window,) = alternating([RequestSeries(canned_engine.target, requests)], rounds=2)
    assert len(transit_ms(window)) == 10


def test_transit_is_measured_on_one_clock(canned_engine: Process) -> None:
    requests = request(stream=True, canned="paced", max_tokens=5)
    (window,) = alternating([RequestSeries(canned_engine.target, requests)], rounds=1)
    (exchange,) = window.exchanges
    assert all(0.0 < delay < exchange.latency * 1e3 for delay in transit_ms(window))
