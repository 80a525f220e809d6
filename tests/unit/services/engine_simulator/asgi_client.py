"""Calls the simulator's ASGI application without a socket."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from services.engine_simulator.api.app import SimulatorApp
from services.engine_simulator.settings import parse_arguments


def simulator(*flags: str) -> SimulatorApp:
    return SimulatorApp(parse_arguments(["--model", "m", *flags]))


@dataclass
class Call:
    """One request under way; `leave` is the client closing its connection."""

    method: str
    path: str
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    status: int = 0
    data: bytes = b""
    complete: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _read: bool = False

    async def run(self, app: SimulatorApp) -> "Call":
        scope = {
            "type": "http",
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
        }
        await app(scope, self._receive, self._send)
        return self

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self.body}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.data += message["body"]
            self.complete = not message["more_body"]
        self.arrived.set()

    def json(self) -> Any:
        return json.loads(self.data)

    def events(self) -> list[Any]:
        """The payloads of a stream, without [DONE]."""
        lines = [line for line in self.data.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def post(path: str, body: object) -> Call:
    return Call("POST", path, json.dumps(body).encode())


def ask(app: SimulatorApp, path: str, body: object) -> Call:
    """One whole exchange, outside of any event loop."""
    return asyncio.run(post(path, body).run(app))


def get(app: SimulatorApp, path: str) -> Call:
    return asyncio.run(Call("GET", path).run(app))


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def series(page: bytes, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    total = 0.0
    for line in page.decode().splitlines():
        if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return total
