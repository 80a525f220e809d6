import pytest

from loadtest.measure.chat import PATH
from loadtest.measure.closed_loop import RequestSeries, Window, alternating, closed_loop
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Exchange, Target, post
from loadtest.measure.processes import Process, free_port


def chat(**fields: object) -> bytes:
    return post(PATH, {"model": "canned", "messages": [], "max_tokens": 5} | fields)


def test_every_connection_is_kept_busy(canned_engine: Process) -> None:
    window = closed_loop(canned_engine.target, [chat()], concurrency=4, seconds=0.5)
    assert len(window.exchanges) > 8
    assert all(exchange.status == 200 for exchange in window.exchanges)


def test_the_rate_is_that_of_full_load() -> None:
    """Two batches of four, one second each, and a third one that ends after the window."""
    exchanges = [Exchange(sent=t, done=t + 1.0) for t in (10.0, 11.0, 12.0) for _ in range(4)]
    window = Window(exchanges, start=10.0, end=12.9)
    assert window.rate == pytest.approx(4.0)
    assert window.seconds == pytest.approx(3.0)


def test_a_window_in_which_nothing_was_answered_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailure, match="no request was answered"):
        _ = Window([Exchange(sent=0.0, done=5.0)], start=0.0, end=1.0).rate


def test_series_take_turns_and_get_their_own_answers(canned_engine: Process) -> None:
    series = [
        RequestSeries(canned_engine.target, [chat()]),
        RequestSeries(canned_engine.target, [chat(stream=True)]),
    ]
    whole, streamed = alternating(series, rounds=3)
    assert [e.body.startswith(b'{"id"') for e in whole.exchanges] == [True] * 3
    assert [e.body.count(b"data: ") for e in streamed.exchanges] == [6] * 3
    assert all(e.sent < e.done for e in whole.exchanges)


@pytest.mark.parametrize("mode", ["burst", "flush", "paced"])
def test_streams_have_as_many_chunks_as_asked(canned_engine: Process, mode: str) -> None:
    series = RequestSeries(canned_engine.target, [chat(stream=True, canned=mode)])
    (window,) = alternating([series], rounds=2)
    for exchange in window.exchanges:
        assert exchange.body.count(b"sent_ns") == 5
        assert exchange.body.endswith(b"data: [DONE]\n\n")


def test_an_answer_that_is_an_error_ends_the_measurement(canned_engine: Process) -> None:
    request = post("/v1/nothing", {})
    with pytest.raises(BenchmarkFailure, match="answered with 404"):
        closed_loop(canned_engine.target, [request], concurrency=2, seconds=0.05)


def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    with pytest.raises(BenchmarkFailure, match=f"127.0.0.1:{port}"):
        closed_loop(Target("127.0.0.1", port), [chat()], concurrency=1, seconds=0.05)
