"""Waits until every part works: the parts answer, and each pool has generated a token."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

import httpx

from deploy.local.components import Component

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
TOKEN_TIMEOUT = 60.0
"""Seconds a first token may take: an engine may warm up on its first request."""


@dataclass
class Waiting:
    """How far one component is."""

    component: Component
    state: str = "starting"
    seconds: float | None = None
    """From the start until it was ready; None before."""


class Board:
    """One line a component with elapsed seconds: redrawn on a terminal, else on changes."""

    def __init__(self, rows: Sequence[Waiting], started: float, output: TextIO) -> None:
        self.rows, self.started, self.output = rows, started, output
        self.live = output.isatty()
        self.drawn = 0
        self.shown: dict[str, str] = {}
        self.last_line = started

    def show(self, now: float) -> None:
        if self.live:
            up = f"\x1b[{self.drawn}A" if self.drawn else ""
            body = "".join(f"\x1b[2K  {self._text(row, now)}\n" for row in self.rows)
            self.output.write(up + body)
            self.drawn = len(self.rows)
        else:
            quiet = now - self.last_line >= HEARTBEAT_SECONDS
            for row in self.rows:
                changed = self.shown.get(row.component.name) != row.state
                if changed or (quiet and row.seconds is None):
                    self.shown[row.component.name] = row.state
                    self.last_line = now
                    self.output.write(f"  {self._text(row, now)}\n")
        self.output.flush()

    def _text(self, row: Waiting, now: float) -> str:
        elapsed = row.seconds if row.seconds is not None else now - self.started
        what = f" {row.component.model}" if row.component.model else ""
        return f"{row.component.name + what:<24} {elapsed:4.0f} s  {row.state}"


class NotReady(Exception):
    """The time to start is over; names what was not ready and why."""


def wait_until_ready(
    components: Sequence[Component],
    timeout: float,
    sleep: Callable[[float], bool],
    output: TextIO = sys.stdout,
) -> bool:
    """Block until all components are ready; False if `sleep` said that everything is to stop.

    `timeout` in seconds. `sleep(seconds)` returns True when waiting is pointless. Raises NotReady.
    """
    started = time.monotonic()
    rows = [Waiting(component) for component in components]
    gateway = next(row for row in rows if row.component.model is None)
    board = Board(rows, started, output)
    # Proxies from the environment have no business between two ports of this machine.
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while True:
            for row in rows:
                if row.seconds is None:
                    advance(row, gateway, client)
                    if row.state == "ready":
                        row.seconds = time.monotonic() - started
                board.show(time.monotonic())
            late = [row for row in rows if row.seconds is None]
            if not late:
                return True
            if time.monotonic() - started > timeout:
                names = ", ".join(f"{row.component.name} ({row.state})" for row in late)
                raise NotReady(f"not ready after {timeout:.0f} s: {names}")
            if sleep(POLL_SECONDS):
                return False


def advance(row: Waiting, gateway: Waiting, client: httpx.Client) -> None:
    """One look at a component; its state becomes `ready` when there is nothing left to wait for."""
    component = row.component
    try:
        if client.get(component.health_url).status_code != 200:
            return
    except httpx.HTTPError:
        return
    if component.model is None:
        row.state = "ready"
    elif gateway.state != "ready":
        row.state = "loaded, waiting for the gateway"
    else:
        row.state = first_token(client, gateway.component.port, component.model)


def first_token(client: httpx.Client, port: int, model: str) -> str:
    """`ready` once the gateway has passed on a token of this model, else what it said."""
    body = {
        "model": model,
        "max_tokens": 1,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    try:
        answer = client.post(url, json=body, timeout=TOKEN_TIMEOUT)
    except httpx.HTTPError as error:
        return f"no token yet: {type(error).__name__}"
    if answer.status_code == 503:
        return "loaded, the gateway has not seen it yet"
    if answer.status_code != 200:
        return f"no token yet: HTTP {answer.status_code}"
    try:
        generated = answer.json()["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError):
        generated = 0
    return "ready" if generated else "no token yet: an empty answer"
