"""python -m gateway --config FILE"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import FrameType

import uvloop

from gateway.adapters.line_writer import LineWriter
from gateway.adapters.logs import CLOSE_S, configure_logs
from gateway.api.http_server import HttpServer, listening_sockets, operations_server
from gateway.errors import ConfigError
from gateway.protocol.configuration.parser import Parser
from gateway.settings import Settings
from gateway.wiring.app import RunningGateway, gateway


def main() -> None:
    """The event loop exists before the parts do. Exits with 2 for settings that can't work."""
    parser = Parser(prog="python -m gateway", description="Serve the gateway.")
    parser.add_argument("--config", type=Path, help="YAML file with the settings")
    arguments = parser.parse_args()
    signals = _Signals()
    try:
        settings = Settings.load(arguments.config)
        output = configure_logs(settings.log_level)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings, signals, output))
        finally:
            output.close(CLOSE_S)
    except ConfigError as error:
        sys.exit(_refuse(error))
    signals.pass_on()


async def _serve(settings: Settings, signals: _Signals, output: LineWriter) -> None:
    async with gateway(settings, output) as running:
        _tune_gc()
        if not signals.received:
            await _listen(settings, running)


async def _listen(settings: Settings, running: RunningGateway) -> None:
    """Serve until a signal comes, and the drain after it is over. Raises ConfigError for an address
    that can't be listened on."""
    listen, operations = settings.listen, settings.operations
    async with AsyncExitStack() as stack:
        sockets = listening_sockets("listen", listen.host, listen.port)
        if operations.port is not None:
            apart = listening_sockets("operations", operations.host, operations.port)
            await stack.enter_async_context(
                operations_server(
                    running.operations, apart, running.connections, running.tls.operations
                )
            )
        server = HttpServer(
            app=running.app,
            drain=running.drain,
            room=running.connections,
            tls=running.tls.listen,
        )
        await server.serve(sockets)


class _Signals:
    """The signals that end the process, kept until the parts have stopped.

    uvicorn ends on them by itself, and then raises them anew for whoever handled them before: the
    default would end the process while parts still run.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)

    def pass_on(self) -> None:
        """End as the signal would have ended the process; Ctrl-C is an ordinary end."""
        if signal.SIGTERM in self.received:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)


def _tune_gc() -> None:
    """What lives since the start is never garbage, and young objects die by reference counting:
    fewer collections take the pauses out of the tail."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _refuse(error: ConfigError) -> int:
    print(f"gateway: {error.message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
