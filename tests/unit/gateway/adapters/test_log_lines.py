"""Every line of the log is one JSON object, and whatever is logged, logging never raises."""

from __future__ import annotations

import json
import os
import threading

from gateway.adapters.logs import dropped_line, to_json, write_when_ready


def test_what_json_has_no_form_for_is_written_in_words() -> None:
    for event in ({"n": 2**70}, {"n": {1, 2}}, {"n": object()}, {"n": b"bytes"}):
        assert json.loads(to_json(event))["n"]


def test_the_line_about_lost_lines_is_a_log_line_like_others() -> None:
    line = dropped_line(3)
    assert line.endswith(b"\n")
    event = json.loads(line)
    assert (event["event"], event["level"], event["dropped"]) == ("log_lines_dropped", "warning", 3)
    assert event["timestamp"].endswith("Z")


def test_a_pipe_that_somebody_made_non_blocking_gets_every_byte() -> None:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    data, done = b"x" * 200_000, 0
    received: list[bytes] = []

    def read() -> None:
        while sum(map(len, received)) < len(data):
            received.append(os.read(readable, 65536))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        while done < len(data):
            done += write_when_ready(writable, memoryview(data)[done:])
        reader.join(10)
    finally:
        os.close(readable)
        os.close(writable)
    assert b"".join(received) == data
