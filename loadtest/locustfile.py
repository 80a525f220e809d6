"""Locust users that ask streamed chat questions; `python -m loadtest.load` runs them headless.

TTFT, ITL, TPOT and the whole answer's time (ms) and tokens/s are reported to locust as request
types of their own, by model and by the tier that answered. Locust's own statistics are rounded,
so every sample is kept beside them, and written at the end to the file that
TIERFLOW_LOAD_RESULTS names.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from locust import User, constant, events, task

from loadtest.measure.chat import PATH
from loadtest.measure.streams import StreamedAnswer
from loadtest.samples import Samples
from loadtest.workload import bodies, read_workload

WORKLOAD = read_workload()
TIMEOUT_S = 120.0

samples = Samples()
_numbers = itertools.count()


class ChatUser(User):
    """A user who asks, reads the stream to its end, pauses, and asks again."""

    host = WORKLOAD.url
    wait_time = constant(WORKLOAD.pause_s)

    def on_start(self) -> None:
        self._bodies = bodies(WORKLOAD, next(_numbers))
        self._connection = _connect(self.host or WORKLOAD.url)

    def on_stop(self) -> None:
        self._connection.close()

    @task
    def ask(self) -> None:
        body = next(self._bodies)
        model = body["model"]
        answer = StreamedAnswer(sent=perf_counter())
        try:
            tier = self._stream(body, answer)
            report(f"{model} > {tier}" if tier else model, answer, perf_counter() - answer.sent)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            report_failure(model, f"{type(error).__name__}: {error}")
        except AnswerError as error:
            report_failure(model, str(error))

    def _stream(self, body: dict[str, Any], answer: StreamedAnswer) -> str:
        """Read the whole stream into `answer`; gives the tier that answered."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", PATH, json.dumps(body), headers)
        response = self._connection.getresponse()
        if response.status != 200:
            raise AnswerError(f"{response.status}: {_message(response.read())}")
        while chunk := response.read1(65536):
            answer.observe(perf_counter(), chunk)
        if answer.error or not answer.complete:
            raise AnswerError(answer.error or "the stream ended early")
        return response.getheader("x-tierflow-tier", "")


class AnswerError(Exception):
    """An answer that is an error; one line."""


def report(name: str, answer: StreamedAnswer, seconds: float) -> None:
    """Tell locust and `samples` about an answer that took `seconds`."""
    samples.tokens += answer.tokens
    _fire("answer", name, seconds * 1000.0, length=len(answer.text))
    if answer.ttft is not None:
        _fire("TTFT", name, answer.ttft * 1000.0)
    for gap in answer.itl:
        _fire("ITL", name, gap * 1000.0)
    if answer.tpot is not None:
        _fire("TPOT", name, answer.tpot * 1000.0)
    if answer.tokens_per_s is not None:
        _fire("tokens/s", name, answer.tokens_per_s)


def report_failure(name: str, reason: str) -> None:
    samples.fail(name, reason)
    _fire_locust("answer", name, 0.0, 0, AnswerError(reason))


def _fire(metric: str, name: str, value: float, length: int = 0) -> None:
    samples.add(metric, name, value)
    _fire_locust(metric, name, value, length, None)


def _fire_locust(
    metric: str, name: str, value: float, length: int, failure: Exception | None
) -> None:
    events.request.fire(  # type: ignore[no-untyped-call]
        request_type=metric,
        name=name,
        response_time=value,
        response_length=length,
        exception=failure,
        context={},
    )


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "no OpenAI error body"


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _save(**_: object) -> None:
    if path := os.environ.get("TIERFLOW_LOAD_RESULTS"):
        samples.save(Path(path))
