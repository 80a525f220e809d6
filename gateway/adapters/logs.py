"""Structured logs: one JSON object a line on standard output, the libraries' own lines too.

Standard output may be a full disk, or a pipe that nobody reads. A `LineWriter` stands before it, so
that no request waits for it or breaks on it.
"""

from __future__ import annotations

import json
import logging
import os
import select
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import structlog

from gateway.adapters.line_writer import LineWriter

STANDARD_OUTPUT = 1
CLOSE_S = 2.0
"""How long the last lines may take when the process ends."""


def configure_logs(level: str) -> LineWriter:
    """Call once, at start, and `close` the writer at the end. `level`: debug, info, warning or
    error."""
    number = getattr(logging, level.upper())
    writer = LineWriter(
        name="logs", sink=partial(write_when_ready, STANDARD_OUTPUT), resumed=dropped_line
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _QueueLogger(writer),
        cache_logger_on_first_use=True,
    )
    handler = _QueueHandler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    # What `warnings` would print, and a line that can't be made, must not go to standard error:
    # it is often the same pipe, and nothing stands before it.
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    return writer


def write_when_ready(descriptor: int, data: memoryview) -> int:
    """os.write that waits also where somebody has made the descriptor a non-blocking one."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            select.select([], [descriptor], [])


def dropped_line(number: int) -> bytes:
    """The log's own line about lines that it has lost."""
    event = {
        "dropped": number,
        "event": "log_lines_dropped",
        "level": "warning",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    return orjson.dumps(event) + b"\n"


def to_json(event: Any, **options: Any) -> bytes:
    """As bytes. What orjson refuses, such as an integer of more than 64 bits, is no reason to lose
    a line or to raise where something is logged."""
    try:
        return orjson.dumps(event, **options)
    except TypeError:
        return json.dumps(event, default=repr, skipkeys=True).encode()


class _QueueLogger:
    """The logger that structlog wraps: it takes finished lines."""

    def __init__(self, writer: LineWriter) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = writer.write


class _QueueHandler(logging.Handler):
    """The handler of the libraries' own lines."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self.format(record).encode())
        except Exception:
            self.handleError(record)
