"""A calibration begins once the lower tier answers for itself."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from loadtest.calibration import client
from loadtest.calibration.client import Traffic, await_lower_tier
from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.family import Question

QUESTION = Question(task="t", prompt="What is 2 plus 2?", answer="Answer: 4")


class Gateway(ThreadingHTTPServer):
    """A gateway whose lower tier comes up after so many questions to the cascade."""

    def __init__(self, down_for: int) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.down_for, self.asked = down_for, 0
        Thread(target=self.serve_forever, daemon=True).start()

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()

    def traffic(self) -> Traffic:
        return Traffic(f"http://127.0.0.1:{self.server_address[1]}", 2, 16)


class Answers(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model, extra = "large", {}
        if body["model"] == "tierflow-cascade":
            self.server.asked += 1
            if self.server.asked > self.server.down_for:
                model = "small"
            extra = {"tierflow": {"cascade": {"stages": [{"model": model}]}}}
        choice = {"message": {"role": "assistant", "content": "4"}}
        usage = {"completion_tokens": 1}
        reply = {"model": model, "choices": [choice], "usage": usage, **extra}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is its own."""


def test_it_waits_until_the_lower_tier_answers_and_says_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Gateway(down_for=2) as gateway:
        await_lower_tier(gateway.traffic(), QUESTION, "tierflow-cloud", Progress("test"))
    assert gateway.asked == 3
    assert capsys.readouterr().err.count("/ready") == 1


def test_a_lower_tier_that_stays_away_ends_it_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LOWER_TIER_S", 0.0)
    with (
        Gateway(down_for=1000) as gateway,
        pytest.raises(BenchmarkFailure, match="lower tier does not answer"),
    ):
        await_lower_tier(gateway.traffic(), QUESTION, "tierflow-cloud", Progress("test"))
