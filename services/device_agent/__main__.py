"""`python -m services.device_agent --gateway URL --model PATH`: serve on a device."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from services.device_agent.answering import Answering
from services.device_agent.api.app import DeviceApi
from services.device_agent.api.forwarding import Forwarding
from services.device_agent.drafters.opening import KINDS, open_drafter
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import Link, uniform, websocket_url
from services.device_agent.metrics import Metrics
from services.device_agent.text import ModelFolderFailed, TextModel

VERSION = "0.1.0"
TOKEN = "TIERFLOW_DEVICE_TOKEN"


class Refusal(Exception):
    """An argument can't be used; one line that names it."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m services.device_agent", description=__doc__)
    top.add_argument("--gateway", help="its URL; without it the device answers alone")
    top.add_argument("--model", type=Path, required=True, help="folder of the small model")
    top.add_argument("--token-file", type=Path, help=f"holds the device token (or set {TOKEN})")
    top.add_argument("--host", default="127.0.0.1")
    top.add_argument("--port", type=int, default=8090)
    top.add_argument("--drafter", choices=KINDS, default="onnx", help="default: %(default)s")
    top.add_argument("--engine-url", help="for --drafter openai")
    top.add_argument("--engine-model", help="for --drafter openai; default: the first it serves")
    top.add_argument("--threads", type=int, default=1, help="of the drafter; default: 1")
    top.add_argument("--spoil", type=float, default=0.0, help=argparse.SUPPRESS)
    return top


def build(arguments: argparse.Namespace) -> Starlette:
    """Raises Refusal."""
    token = _token(arguments)
    try:
        model = TextModel(arguments.model)
        link = None
        if arguments.gateway:
            websocket_url(arguments.gateway)
            link = Link(arguments.gateway, token, f"tierflow-device/{VERSION}", uniform)
        drafter = open_drafter(
            arguments.drafter,
            arguments.model,
            model.context,
            threads=arguments.threads,
            engine_url=arguments.engine_url,
            engine_model=arguments.engine_model,
            spoil=arguments.spoil,
            vocabulary=model.vocabulary,
        )
    except ValueError as exc:
        raise Refusal(f"--gateway: {exc}") from exc
    except (ModelFolderFailed, DrafterFailed) as exc:
        raise Refusal(str(exc)) from exc
    metrics = Metrics()
    thread = DraftingThread(drafter)
    answering = Answering(model, thread, link, metrics)
    _watch(metrics, answering)
    forwarding = Forwarding(arguments.gateway.rstrip("/") if arguments.gateway else None)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            await thread.warm()
        except DrafterFailed as exc:
            logging.getLogger("tierflow.device").warning("the drafter does not draft: %s", exc)
        keeping = asyncio.create_task(link.run()) if link else None
        yield
        if keeping is not None:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
        await forwarding.close()
        thread.close()

    return DeviceApi(answering, forwarding, metrics).app(lifespan)


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is not None:
        try:
            return str(arguments.token_file.read_text().strip())
        except OSError as exc:
            raise Refusal(f"--token-file {arguments.token_file}: {exc.strerror}") from exc
    token = os.environ.get(TOKEN, "")
    if arguments.gateway and not token:
        raise Refusal(f"--gateway needs a device token: give --token-file or set {TOKEN}")
    return token


def _watch(metrics: Metrics, answering: Answering) -> None:
    drafter, link = answering.thread.drafter, answering.link
    metrics.watch("draft_step_seconds", "Time for one draft token.", lambda: drafter.step_s)
    if link is None:
        return
    metrics.watch("link_up", "1 while the gateway can be reached.", lambda: float(link.up))
    metrics.watch("link_round_trip_seconds", "To the gateway.", lambda: link.probes.round_trip_s)
    metrics.watch("link_bytes_per_second", "Up, as last measured.", lambda: link.probes.bytes_per_s)
    metrics.watch("link_sent_bytes", "Frames up.", lambda: float(link.sent_bytes))
    metrics.watch("link_received_bytes", "Frames down.", lambda: float(link.received_bytes))
    metrics.watch("link_connects", "Connections made.", lambda: float(link.connects))


def main(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        if not 0 <= arguments.spoil <= 1:
            raise Refusal(f"--spoil {arguments.spoil}: must be 0 to 1")
        if not 1 <= arguments.port <= 65535:
            raise Refusal(f"--port {arguments.port}: must be 1 to 65535")
        if arguments.threads < 1:
            raise Refusal(f"--threads {arguments.threads}: must be 1 or more")
        app = build(arguments)
    except Refusal as exc:
        print(f"device_agent: error: {exc}", file=sys.stderr)
        return 2
    uvicorn.run(
        app, host=arguments.host, port=arguments.port, log_level="warning", access_log=False
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
