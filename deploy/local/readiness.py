"""Waits until every component works: it answers, its pool has generated a token, and devices have
registered."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO
from urllib.parse import quote

import httpx

from deploy.local.components import Component
from deploy.local.settings import HOST

STOPPED = "stopped"
UNSEEN = "loaded, the gateway has not seen it yet"
NO_TOKEN = "no token yet: {}"
CHAT = {"max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}
TEXT = {"max_tokens": 1, "prompt": "Hello"}
POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
TOKEN_TIMEOUT = 60.0
"""Seconds a first token may take: an engine may warm up on its first request."""


@dataclass(frozen=True)
class Gateway:
    """The gateway as an operator reaches it: its port and the operator's token."""

    port: int
    admin_token: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass
class ComponentProgress:
    """The progress of one component towards being ready."""

    component: Component
    state: str = "starting"
    seconds: float | None = None
    """From the start until it was ready; None before."""


class ProgressBoard:
    """The display of progress: a line per component, redrawn on a terminal, else added."""

    def __init__(self, rows: Sequence[ComponentProgress], started: float, output: TextIO) -> None:
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

    def _text(self, row: ComponentProgress, now: float) -> str:
        elapsed = row.seconds if row.seconds is not None else now - self.started
        kind = f" {row.component.model}" if row.component.model else ""
        kind = " (device)" if row.component.device else kind
        return f"{row.component.name + kind:<24} {elapsed:4.0f} s  {row.state}"


class NotReady(Exception):
    """The end of the time to start; names what is not ready, and why."""


def wait_until_ready(
    components: Sequence[Component],
    gateway: Gateway,
    *,
    timeout: float,
    sleep: Callable[[float], bool],
    ended: Mapping[str, int],
    is_own: Callable[[Component], bool],
    output: TextIO = sys.stdout,
) -> bool:
    """Block until all components are ready; False where `sleep` returned that everything stops.

    `timeout` in seconds. `sleep(seconds)` returns True when everything is to stop. Devices in
    `ended` stopped by themselves and are not waited for. `is_own` tells whether it is the
    component itself that answers at its port. Raises NotReady.
    """
    started = time.monotonic()
    rows = [ComponentProgress(component) for component in components]
    gateway_row = next(row for row in rows if row.component.name == "gateway")
    board = ProgressBoard(rows, started, output)
    # A proxy from the environment must not stand between two ports of this machine.
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while True:
            for row in rows:
                if row.seconds is None:
                    if row.component.name in ended:
                        row.state = STOPPED
                    else:
                        served = gateway_row.state == "ready"
                        advance(row, served, gateway, client, is_own)
                    if row.state in ("ready", STOPPED):
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


def advance(
    row: ComponentProgress,
    served: bool,
    gateway: Gateway,
    client: httpx.Client,
    is_own: Callable[[Component], bool],
) -> None:
    """Check a component once; its state becomes `ready` when it works.

    `served`: whether the gateway answers. `is_own`: whether a component's own processes listen at
    its port.
    """
    component = row.component
    if component.device is not None:
        row.state = registered(client, gateway, component.device) if served else row.state
        return
    try:
        if client.get(component.health_url).status_code != 200:
            return
    except httpx.HTTPError:
        return
    if not is_own(component):
        row.state = f"another process answers on port {component.port}"
    elif component.model is None:
        row.state = "ready"
    elif not served:
        row.state = "loaded, waiting for the gateway"
    else:
        row.state = first_token(client, gateway.url, component.model)


def registered(client: httpx.Client, gateway: Gateway, device: str) -> str:
    """`ready` once the device is a member at the gateway, else what is missing."""
    headers = {"Authorization": f"Bearer {gateway.admin_token}"}
    try:
        answer = client.get(f"{gateway.url}/v1/devices/{device}", headers=headers)
    except httpx.HTTPError as error:
        return f"connecting: {type(error).__name__}"
    if answer.status_code == 200:
        try:
            is_member = answer.json()["registered"]
        except (ValueError, KeyError, TypeError):
            is_member = False
        return "ready" if is_member else "connecting"
    if answer.status_code == 404:
        return "connecting"
    return f"not registered: HTTP {answer.status_code}"


def first_token(client: httpx.Client, gateway: str, model: str) -> str:
    """`ready` once the gateway has relayed a token of this model, else what is missing.

    Nothing is asked before the gateway has seen the model: it would count as a failed request.
    """
    try:
        card = client.get(f"{gateway}/v1/models/{quote(model)}")
        if card.status_code != 200 or not card.json()["ready"]:
            return UNSEEN
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return NO_TOKEN.format(type(error).__name__)
    mute = model in template_missing(client, gateway).replace(",", " ").split()
    route, body = ("completions", TEXT) if mute else ("chat/completions", CHAT)
    return _generated(client, f"{gateway}/v1/{route}", {"model": model, **body})


def _generated(client: httpx.Client, url: str, body: Mapping[str, object]) -> str:
    try:
        answer = client.post(url, json=body, timeout=TOKEN_TIMEOUT)
    except httpx.HTTPError as error:
        return NO_TOKEN.format(type(error).__name__)
    if answer.status_code == 503:
        return UNSEEN
    if answer.status_code != 200:
        return NO_TOKEN.format(f"HTTP {answer.status_code}")
    try:
        generated = answer.json()["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError):
        generated = 0
    return "ready" if generated else NO_TOKEN.format("an empty answer")


def template_missing(client: httpx.Client, gateway: str) -> str:
    """What the gateway says of models that refuse chats, having no template; "" if none does."""
    try:
        conditions = client.get(f"{gateway}/ready").json()["conditions"]
        return str(conditions.get("chat-template-missing", ""))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return ""
