"""`python -m services.device_agent --gateway URL --model PATH`: serve on a device."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn

from gateway.protocol.browser_guard import App, BrowserGuard, guarded_hosts, guarded_origins
from services.device_agent.agent import Agent, build
from services.device_agent.arguments import (
    ENROLMENT_TOKEN,
    ArgumentFailure,
    check,
    check_gateway,
    enrolment_parser,
    enrolment_token,
    gateway_tls,
    gateway_urls,
    listed,
    parser,
)
from services.device_agent.link.enrolment import EnrolmentFailed, enrol
from services.device_agent.logs import configure_logs

KEEP_ALIVE_S = 75
"""How long a connection stays open for the next request, as at the gateway: clients that keep one
for a minute would else send into one that has just been closed."""
STARTUP_FAILURE = 3
"""The exit code where the API can't be served, as uvicorn's own."""

log = logging.getLogger("tierflow.device")


def serve(arguments: argparse.Namespace) -> None:
    """Raises ArgumentFailure."""
    check(arguments)
    if not arguments.no_api and (problem := port_problem(arguments.host, arguments.port)):
        log.error("%s", problem)
        sys.exit(STARTUP_FAILURE)
    agent = build(arguments)
    if arguments.no_api:
        asyncio.run(run_without_api(agent))
        return
    server = _Server(server_config(arguments, agent.app()))
    # uvicorn stops at it, and then raises it anew: the default would end us before the log's end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def port_problem(host: str, port: int) -> str:
    """What keeps the API from this port; empty where nothing does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except PermissionError:
        return f"port {port} needs more rights: choose another with --port"
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} is in use: choose another with --port"
        return f"--host {host}: can't listen there: {error.strerror or error}"
    return ""


def server_config(arguments: argparse.Namespace, app: App) -> uvicorn.Config:
    return uvicorn.Config(
        guarded(arguments, app),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def guarded(arguments: argparse.Namespace, app: App) -> App:
    """`app` behind a guard against web pages."""
    return BrowserGuard(
        app=app,
        hosts=guarded_hosts(arguments.host, listed(arguments.allowed_hosts)),
        origins=guarded_origins(arguments.host, listed(arguments.allowed_origins)),
        settings=("--allowed-hosts", "--allowed-origins"),
    )


async def run_without_api(agent: Agent) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with agent.running():
        await stop.wait()


def enrol_this_device(arguments: argparse.Namespace) -> None:
    """Raises ArgumentFailure, EnrolmentFailed."""
    check_gateway(arguments.gateway)
    token = enrolment_token(arguments)
    if not token:
        raise ArgumentFailure(f"give --enrolment-token-file, or set {ENROLMENT_TOKEN}")
    device = asyncio.run(
        enrol(
            gateways=gateway_urls(arguments.gateway),
            enrolment_token=token,
            name=arguments.name,
            file=arguments.token_file,
            tls=gateway_tls(arguments),
        )
    )
    print(f"enrolled as {device}; its token is in {arguments.token_file}")


class _Server(uvicorn.Server):
    """A server that says where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            log.info("serving at http://%s:%d", self.config.host, self.config.port)


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["enrol"]:
        return report(lambda: enrol_this_device(enrolment_parser().parse_args(argv[1:])))
    return report(lambda: serve(parser().parse_args(argv)))


def report(work: Callable[[], None], name: str = "device_agent: error") -> int:
    """0, 2 for an argument that can't be used, 1 for a gateway that enrols nobody, 130 when it was
    interrupted before it served. `name` begins the line that says so."""
    logs = configure_logs()
    try:
        work()
    except ArgumentFailure as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 2
    except EnrolmentFailed as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        logs.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
