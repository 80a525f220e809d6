"""The agent's parts, put together: model, link, membership, the API for applications."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from services.device_agent.answering import Answering
from services.device_agent.api.app import DeviceApi
from services.device_agent.api.forwarding import Forwarding
from services.device_agent.arguments import Refusal, device_token
from services.device_agent.drafters.opening import open_drafter
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import Link, uniform
from services.device_agent.membership.conditions import Conditions
from services.device_agent.membership.profile import ProfileFailed, describe_model, read_profile
from services.device_agent.membership.registration import Membership
from services.device_agent.membership.sensors import Sensors
from services.device_agent.membership.workload import Workload
from services.device_agent.metrics import Metrics
from services.device_agent.text import ModelFolderFailed, TextModel

VERSION = "0.1.0"
log = logging.getLogger("tierflow.device")


@dataclass
class Agent:
    """`link` is None without a gateway, `membership` where the device only drafts."""

    thread: DraftingThread
    answering: Answering
    link: Link | None
    membership: Membership | None
    conditions: Conditions
    metrics: Metrics
    gateway: str | None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            await self.thread.warm()
        except DrafterFailed as exc:
            log.warning("the drafter does not draft: %s", exc)
        async with AsyncExitStack() as stack:
            stack.callback(self.thread.close)
            if self.membership is not None:
                await self.conditions.refresh()
                await stack.enter_async_context(_beside(self.membership.run()))
            if self.link is not None:
                await stack.enter_async_context(_beside(self.link.run()))
            yield

    def app(self) -> Starlette:
        """The API, which runs the agent for as long as it is served."""
        forwarding = Forwarding(self.gateway)

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with self.running():
                yield
                await forwarding.close()

        api = DeviceApi(self.answering, forwarding, self.metrics, self.membership)
        return api.app(lifespan)


def build(arguments: argparse.Namespace) -> Agent:
    """Raises Refusal."""
    token = device_token(arguments)
    try:
        model = TextModel(arguments.model)
        drafter = open_drafter(
            arguments.drafter,
            arguments.model,
            model.context,
            threads=arguments.threads,
            engine_url=arguments.engine_url,
            engine_model=arguments.engine_model,
            spoil=arguments.spoil,
            least_step_s=arguments.least_step_ms / 1e3,
            vocabulary=model.vocabulary,
        )
    except (ModelFolderFailed, DrafterFailed) as exc:
        raise Refusal(str(exc)) from exc
    link = None
    if arguments.gateway:
        link = Link(arguments.gateway, token.token, f"tierflow-device/{VERSION}", uniform)
    metrics, thread = Metrics(), DraftingThread(drafter)
    answering = Answering(model, thread, link, metrics)
    conditions = Conditions(Sensors(arguments.sysfs).read, arguments.hot_celsius)
    membership = None
    if link is not None and not arguments.no_member:
        membership = _membership(arguments, model, thread, link, conditions, metrics)
    _watch(metrics, answering)
    gateway = arguments.gateway.rstrip("/") if arguments.gateway else None
    return Agent(thread, answering, link, membership, conditions, metrics, gateway)


def _membership(
    arguments: argparse.Namespace,
    model: TextModel,
    thread: DraftingThread,
    link: Link,
    conditions: Conditions,
    metrics: Metrics,
) -> Membership:
    tags = None if arguments.tags is None else [t for t in arguments.tags.split(",") if t]
    try:
        profile = read_profile(
            arguments.model,
            describe_model(thread.drafter.name, arguments.model, model.fingerprint),
            description=arguments.describe,
            tags=tags,
            owner=arguments.owner,
            privacy=arguments.privacy,
            max_work=arguments.max_work,
        )
    except ProfileFailed as exc:
        raise Refusal(str(exc)) from exc
    workload = Workload(
        profile, model, thread, conditions, arguments.min_battery, link.send, metrics
    )
    membership = Membership(profile, workload, conditions, link.send, uniform)
    link.member = membership
    metrics.watch("member", lambda: float(membership.device is not None))
    metrics.watch("member_active_work", lambda: float(workload.working))
    return membership


def _watch(metrics: Metrics, answering: Answering) -> None:
    drafter, link = answering.thread.drafter, answering.link
    metrics.watch("draft_step_seconds", lambda: drafter.step_s)
    if link is None:
        return
    metrics.watch("link_up", lambda: float(link.up))
    metrics.watch("link_round_trip_seconds", lambda: link.probes.round_trip_s)
    metrics.watch("link_bytes_per_second", lambda: link.probes.bytes_per_s)
    metrics.watch("link_sent_bytes", lambda: float(link.sent_bytes))
    metrics.watch("link_received_bytes", lambda: float(link.received_bytes))
    metrics.watch("link_connects", lambda: float(link.connects))


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs it until the context ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
