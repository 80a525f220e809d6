"""Builds the agent from its parts: model, link, membership, the API for applications."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import disable_created_metrics
from starlette.applications import Starlette

from gateway.protocol.device_link.fields import Privacy
from gateway.protocol.model_hub import hub_name
from services.device_agent.answers.answer_router import AnswerRouter
from services.device_agent.api.app import DeviceApi
from services.device_agent.api.gateway_proxy import GatewayProxy
from services.device_agent.arguments import (
    ArgumentFailure,
    device_token,
    gateway_tls,
    gateway_urls,
    model_folder,
)
from services.device_agent.conditions import AgentConditions
from services.device_agent.drafters.port import DrafterFailed
from services.device_agent.drafters.registry import open_drafter
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.gateway_tls import GatewayTls
from services.device_agent.link.link import Link
from services.device_agent.membership.active_work import ActiveWork
from services.device_agent.membership.device_state import DeviceState
from services.device_agent.membership.profile import ProfileFailed, describe_model, read_profile
from services.device_agent.membership.registration import Membership
from services.device_agent.membership.sensors import Sensors
from services.device_agent.metrics import AgentMetrics
from services.device_agent.text import ModelFolderFailed, TextModel

VERSION = "0.1.0"
log = logging.getLogger("tierflow.device")


@dataclass(kw_only=True)
class Agent:
    """The agent of one device, built and ready to run.

    `link` is None without a gateway, `membership` where the device only drafts: `reason` says why.
    """

    thread: DraftingThread
    router: AnswerRouter
    link: Link | None
    membership: Membership | None
    reason: str
    conditions: AgentConditions
    state: DeviceState
    metrics: AgentMetrics
    least_privacy: Privacy
    token: Callable[[], Awaitable[str]]
    tls: GatewayTls

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            await self.thread.warm_up()
        except DrafterFailed as exc:
            log.warning("the drafter failed: %s", exc)
        drafter = self.thread.drafter
        log.info(
            "starts with %s, %d tokens of context; gateway: %s",
            drafter.name,
            drafter.context,
            ", ".join(self.gateways()) or "none",
        )
        async with AsyncExitStack() as stack:
            stack.callback(log.info, "stopped")
            stack.callback(self.thread.close)
            if self.membership is not None:
                await self.state.refresh()
                await stack.enter_async_context(_running(self.membership.run()))
            if self.link is not None:
                await stack.enter_async_context(_running(self.link.run()))
            await stack.enter_async_context(_running(self.conditions.report()))
            yield

    def gateways(self) -> Sequence[str]:
        """Their URLs, that of the one that is connected first."""
        return () if self.link is None else self.link.in_order()

    def app(self) -> Starlette:
        """The API, which runs the agent for as long as it is served."""
        gateway = GatewayProxy(
            gateways=self.gateways, token=self.token, uniform=random.random, tls=self.tls
        )

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with self.running():
                yield
                await gateway.close()

        api = DeviceApi(
            router=self.router,
            gateway=gateway,
            metrics=self.metrics,
            least_privacy=self.least_privacy,
            membership=self.membership,
            reason=self.reason,
            conditions=self.conditions,
        )
        return api.app(lifespan)


def build(arguments: argparse.Namespace) -> Agent:
    """Raises ArgumentFailure."""
    # When a series began is of no use to Prometheus, and a line for each on every page.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    token, tls = device_token(arguments), gateway_tls(arguments)
    given = arguments.model
    arguments = argparse.Namespace(**{**vars(arguments), "model": model_folder(arguments)})
    try:
        model = TextModel(arguments.model)
        drafter = open_drafter(
            arguments.drafter,
            arguments.model,
            context=model.context,
            threads=arguments.threads,
            engine_url=arguments.engine_url,
            engine_model=arguments.engine_model,
            spoil=arguments.spoil,
            least_step_s=arguments.least_step_ms / 1e3,
            vocabulary=model.vocabulary,
        )
    except (ModelFolderFailed, DrafterFailed) as exc:
        raise ArgumentFailure(str(exc)) from exc
    if arguments.model != given and arguments.drafter != "openai":
        # The hub's cache names folders by commits.
        drafter.name = hub_name(str(given))
    link = None
    gateways = gateway_urls(arguments.gateway)
    if gateways:
        link = Link(
            gateways=gateways,
            token=token.token,
            agent=f"tierflow-device/{VERSION}",
            uniform=random.random,
            tls=tls,
        )
    metrics, thread = AgentMetrics(), DraftingThread(drafter)
    router = AnswerRouter(model=model, thread=thread, link=link, metrics=metrics)
    state = DeviceState(Sensors(arguments.sysfs).read, arguments.hot_celsius)
    membership, reason = None, _reason(arguments, model, link)
    if link is not None and not reason:
        membership = _membership(arguments, model, thread, link, state, metrics)
    _watch(metrics, router)
    conditions = AgentConditions(model, link)
    metrics.watch_conditions(conditions.current)
    return Agent(
        thread=thread,
        router=router,
        link=link,
        membership=membership,
        reason=reason,
        conditions=conditions,
        state=state,
        metrics=metrics,
        least_privacy=arguments.least_privacy,
        token=token.token,
        tls=tls,
    )


def _reason(arguments: argparse.Namespace, model: TextModel, link: Link | None) -> str:
    """Why the device is no member; "" where it is one. Raises ArgumentFailure where nothing is
    left to do."""
    if link is None:
        return "the agent has no gateway"
    if arguments.no_member:
        return "--no-member: it only drafts"
    if model.chats:
        return ""
    if arguments.no_api:
        raise ArgumentFailure(
            f"--model {arguments.model}: has no chat template, so it can't do work, and --no-api "
            "leaves nothing else to do"
        )
    return "the model has no chat template, so it can't do work"


def _membership(
    arguments: argparse.Namespace,
    model: TextModel,
    thread: DraftingThread,
    link: Link,
    state: DeviceState,
    metrics: AgentMetrics,
) -> Membership:
    tags = None if arguments.tags is None else [tag for tag in arguments.tags.split(",") if tag]
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
        raise ArgumentFailure(str(exc)) from exc
    active_work = ActiveWork(
        profile=profile,
        model=model,
        thread=thread,
        state=state,
        min_battery=arguments.min_battery,
        metrics=metrics,
    )
    membership = Membership(
        profile=profile,
        active_work=active_work,
        state=state,
        send=link.send,
        uniform=random.random,
    )
    link.member = membership
    metrics.watch("member", lambda: float(membership.device is not None))
    metrics.watch("member_active_work", lambda: float(active_work.working))
    return membership


def _watch(metrics: AgentMetrics, router: AnswerRouter) -> None:
    drafter, link = router.thread.drafter, router.link
    metrics.watch("draft_step_seconds", lambda: drafter.step_s)
    if link is None:
        return
    metrics.watch("link_up", lambda: float(link.up))
    metrics.watch("link_round_trip_seconds", lambda: link.probes.round_trip_s)
    metrics.watch("link_bytes_per_second", lambda: link.probes.bytes_per_s)
    metrics.watch("link_sent_bytes", lambda: float(link.traffic.sent))
    metrics.watch("link_received_bytes", lambda: float(link.traffic.received))
    metrics.watch("link_connects", lambda: float(link.connects))


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` in a task until the context ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
