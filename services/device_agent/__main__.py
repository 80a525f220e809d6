"""`python -m services.device_agent --gateway URL --model PATH`: serve on a device."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

import uvicorn

from services.device_agent.agent import Agent, build
from services.device_agent.arguments import (
    ENROLMENT_TOKEN,
    ArgumentFailure,
    check,
    check_gateway,
    enrolment_parser,
    enrolment_token,
    parser,
)
from services.device_agent.link.enrolment import EnrolmentFailed, enrol


def serve(argv: Sequence[str]) -> None:
    """Raises ArgumentFailure."""
    arguments = parser().parse_args(argv)
    check(arguments)
    agent = build(arguments)
    if arguments.no_api:
        asyncio.run(run_without_api(agent))
        return
    uvicorn.run(
        agent.app(), host=arguments.host, port=arguments.port, log_level="warning", access_log=False
    )


async def run_without_api(agent: Agent) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with agent.running():
        await stop.wait()


def enrol_this_device(argv: Sequence[str]) -> None:
    """Raises ArgumentFailure, EnrolmentFailed."""
    arguments = enrolment_parser().parse_args(argv)
    check_gateway(arguments.gateway)
    token = enrolment_token(arguments)
    if not token:
        raise ArgumentFailure(f"give --enrolment-token-file, or set {ENROLMENT_TOKEN}")
    device = asyncio.run(
        enrol(
            gateway=arguments.gateway,
            enrolment_token=token,
            name=arguments.name,
            file=arguments.token_file,
        )
    )
    print(f"enrolled as {device}; its token is in {arguments.token_file}")


def main(argv: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if argv[:1] == ["enrol"]:
            enrol_this_device(argv[1:])
        else:
            serve(argv)
    except ArgumentFailure as exc:
        print(f"device_agent: error: {exc}", file=sys.stderr)
        return 2
    except EnrolmentFailed as exc:
        print(f"device_agent: error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
