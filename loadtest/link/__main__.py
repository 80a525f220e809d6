"""python -m loadtest.link: emulate links until stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import selectors
import signal
import sys
from collections.abc import Sequence

from loadtest.link import control
from loadtest.link.line import Conditions, Stall
from loadtest.link.link import Link


def address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} must be HOST:PORT")
    return host, int(port)


def stall(text: str) -> Stall:
    try:
        every, length = (float(part) for part in text.split(":"))
        return Stall(every, length)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be EVERY_S:FOR_S, the second above 0 and below the first"
        ) from error


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.link",
        description="A TCP proxy that behaves like a link, the same in both directions. "
        "--listen and --to may be repeated: each pair is a link of its own.",
    )
    parser.add_argument("--listen", type=int, required=True, action="append", metavar="PORT")
    parser.add_argument("--to", type=address, required=True, action="append", metavar="HOST:PORT")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="one way")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="plus or minus, one way")
    parser.add_argument("--rate-mb-s", type=float, default=0.0, help="0: without limit")
    parser.add_argument("--stall", type=stall, metavar="EVERY_S:FOR_S")
    parser.add_argument("--seed", type=int, default=0, help="of the jitter")
    parser.add_argument("--control", type=int, metavar="PORT", help="changes while running")
    arguments = parser.parse_args(argv)
    if len(arguments.listen) != len(arguments.to):
        parser.error("--listen and --to: there must be as many of one as of the other")
    try:
        arguments.conditions = Conditions(
            delay_s=1e-3 * arguments.delay_ms,
            jitter_s=1e-3 * arguments.jitter_ms,
            bytes_per_s=1e6 * arguments.rate_mb_s or math.inf,
            stall=arguments.stall,
        )
    except ValueError as error:
        parser.error(str(error))
    return arguments


async def emulate(arguments: argparse.Namespace) -> None:
    """Emulate links until SIGINT or SIGTERM. Raises OSError when a port is taken."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    links = [
        Link(port=port, to=to, conditions=arguments.conditions, seed=arguments.seed + number)
        for number, (port, to) in enumerate(zip(arguments.listen, arguments.to, strict=True))
    ]
    for link in links:
        await link.listen()
    port = arguments.control
    server = await control.serve(links, port) if port is not None else None
    print("ready", flush=True)
    await stopped.wait()
    for link in links:
        link.close()
    if server is not None:
        server.close()


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are exact to some 0.1 ms.

    asyncio rounds the timeout of epoll up to whole milliseconds, and libuv knows no finer ones;
    select(2) takes microseconds. It takes file descriptors below 1024, far more than needed.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> int:
    arguments = parse()
    try:
        with asyncio.Runner(loop_factory=precise_loop) as runner:
            with contextlib.suppress(KeyboardInterrupt):
                runner.run(emulate(arguments))
    except OSError as error:
        print(f"link: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
