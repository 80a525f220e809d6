"""Serve: bind, print one line with the address, answer until a signal comes."""

import asyncio
import gc
import socket
import sys

import uvicorn
from prometheus_client import disable_created_metrics

from services.engine_simulator.api.app import SimulatorApp
from services.engine_simulator.settings import Settings, parse_arguments


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as exc:
        print(
            f"engine_simulator: cannot listen on {settings.host}:{settings.port} "
            f"({exc.strerror}); choose another --port or --host",
            file=sys.stderr,
        )
        raise SystemExit(1) from exc


def main() -> None:
    settings = parse_arguments()
    # As vLLM is started by services.vllm_server.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    listener = _bind(settings)
    config = uvicorn.Config(
        SimulatorApp(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    port = listener.getsockname()[1]
    gc.freeze()
    gc.set_threshold(50000, 50, 100)
    print(f"engine simulator: {settings.model} at http://{settings.host}:{port}", flush=True)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
