from loadtest.bench.canned_scenarios import request, transit_ms
from loadtest.measure.closed_loop import RequestSeries, alternating
from loadtest.measure.processes import Process


def test_transit_is_measured_for_every_chunk_on_one_clock(canned_engine: Process) -> None:
    requests = request(stream=True, canned="paced", max_tokens=5)
    (window,) = alternating([RequestSeries(canned_engine.target, requests)], rounds=2)
    assert len(transit_ms(window)) == 10
    longest = max(exchange.latency for exchange in window.exchanges)
    assert all(0.0 < delay < longest * 1e3 for delay in transit_ms(window))
