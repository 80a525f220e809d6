"""Measuring one link: all variants in turn, in random order, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic

from gateway.protocol.virtual_models import DEVICE_CLOUD
from loadtest.measure.closed_loop import run
from loadtest.measure.processes import Process
from loadtest.speculation.client import Client, request
from loadtest.speculation.engines import COLOCATED, Engines, ExclusiveEngine
from loadtest.speculation.plan import (
    CO_LOCATED,
    CONTROL,
    DIRECT,
    SERVER_ONLY,
    DraftConfig,
    LinkPlan,
    SpeculationPlan,
    Variant,
    configs_of_round,
)
from loadtest.speculation.testbed import Testbed
from loadtest.speculation.token_streams import TokenStream

PLAIN_CLOUD, PLAIN_EDGE = "rill-cloud-plain", "rill-edge-plain"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question, and the ids that the cloud size answers when asked directly."""

    text: str
    prompt_ids: Sequence[int]
    ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An answer of a round. Times in seconds.

    `tpot` is None where the answer was too short, which only a wrong answer can be. `gaps` are the
    times between chunks: the engine's steps, but for what a chunk in two parts or a wait adds.
    `exact`: its ids are the cloud size's own.
    """

    round: int
    prompt: int
    variant: Variant
    tpot: float | None
    ttft: float
    latency: float
    gaps: Sequence[float]
    exact: bool
    accepted: int
    drafted: int
    degraded: bool

    @property
    def drafts(self) -> bool:
        return isinstance(self.variant, DraftConfig)


def measure_link(
    link: LinkPlan,
    plan: SpeculationPlan,
    *,
    testbed: Testbed,
    prompts: Sequence[Prompt],
    seconds: float,
) -> list[Sample]:
    """The emulated link must have its conditions already. Raises BenchmarkFailure."""
    return run(_measure(link, plan, testbed, prompts, seconds))


async def _measure(
    link: LinkPlan,
    plan: SpeculationPlan,
    testbed: Testbed,
    prompts: Sequence[Prompt],
    seconds: float,
) -> list[Sample]:
    random = Random(f"{link.round_trip_ms} {link.rate_mb_s}")
    samples: list[Sample] = []
    engines = testbed.engines
    async with Client(testbed.targets) as client, ExclusiveEngine(engines) as exclusive:

        async def ask(variant: Variant, question: str) -> TokenStream:
            await exclusive.switch_to(engine_of(variant, engines))
            return await _ask(client, variant, question)

        # The agents learn the link and their own acceptance here.
        for number in range(plan.warm_up):
            for config in link.main:
                await ask(config, prompts[-1 - number % len(prompts)].text)
            await ask(SERVER_ONLY, prompts[-1].text)
        end = monotonic() + seconds
        number = 0
        while number < plan.least_rounds or monotonic() < end:
            place = number % len(prompts)
            variants = _variants(link, plan, number, engines)
            random.shuffle(variants)
            for variant in variants:
                stream = await ask(variant, prompts[place].text)
                exact = stream.ids == list(prompts[place].ids)
                samples.append(_sample(number, place, variant, stream, exact))
            number += 1
    return samples


def _variants(
    link: LinkPlan, plan: SpeculationPlan, number: int, engines: Engines
) -> list[Variant]:
    """The variants of a round; the engine itself and the co-located baseline are asked seldom."""
    configs = configs_of_round(link, number, plan.sweep_every)
    variants: list[Variant] = [SERVER_ONLY, CONTROL, *configs]
    if number % plan.sweep_every == 0:
        variants.append(DIRECT)
        if engines.colocated is not None:
            variants.append(CO_LOCATED)
    return variants


def engine_of(variant: Variant, engines: Engines) -> Process:
    """The engine that answers in a variant."""
    if isinstance(variant, DraftConfig):
        return engines.drafting["cloud"].engine
    if variant == CO_LOCATED and engines.colocated is not None:
        return engines.colocated
    return engines.plain["cloud"]


async def _ask(client: Client, variant: Variant, question: str) -> TokenStream:
    if isinstance(variant, DraftConfig):
        drafted = request(DEVICE_CLOUD, question, variant.window)
        return await client.ask(variant.drafter, drafted)
    if variant == CO_LOCATED:
        return await client.ask(SERVER_ONLY, request(COLOCATED, question))
    target = SERVER_ONLY if variant == CONTROL else variant
    return await client.ask(target, request(PLAIN_CLOUD, question))


def _sample(number: int, place: int, variant: Variant, stream: TokenStream, exact: bool) -> Sample:
    return Sample(
        round=number,
        prompt=place,
        variant=variant,
        tpot=stream.tpot,
        ttft=stream.ttft,
        latency=stream.latency,
        gaps=stream.gaps,
        exact=exact,
        accepted=int(stream.tierflow.get("accepted_tokens") or 0),
        drafted=int(stream.tierflow.get("drafted_tokens") or 0),
        degraded=stream.degraded,
    )
