"""Measuring one link: all ways in turn, in random order, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic

from loadtest.measure.loops import run
from loadtest.measure.processes import Running
from loadtest.speculation.answers import TokenStream
from loadtest.speculation.asking import DEVICE_CLOUD, Client, request, targets
from loadtest.speculation.engines import COLOCATED, Engines
from loadtest.speculation.parts import Parts
from loadtest.speculation.plan import Plan, Stop, Way, ways_of_round
from loadtest.speculation.turns import Turns

SERVER_ONLY, DIRECT, CO_LOCATED = "server-only", "direct", "co-located"
AGAIN = "server-only again"
"""Asked like the first: what differs between the two is what chance does to every comparison."""
PLAIN_CLOUD, PLAIN_EDGE = "rill-cloud-plain", "rill-edge-plain"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question, and the ids that the cloud size answers when asked directly."""

    text: str
    prompt_ids: Sequence[int]
    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a round. Times in seconds; `tpot` None where it was too short, which only a
    wrong answer can be."""

    round: int
    prompt: int
    way: Way | str
    tpot: float | None
    ttft: float
    latency: float
    gaps: Sequence[float]
    exact: bool
    accepted: int
    drafted: int
    degraded: bool


def measure(
    stop: Stop, plan: Plan, parts: Parts, prompts: Sequence[Prompt], seconds: float
) -> list[Sample]:
    """The link must be set already. Raises BenchmarkFailure."""
    return run(_measure(stop, plan, parts, prompts, seconds))


async def _measure(
    stop: Stop, plan: Plan, parts: Parts, prompts: Sequence[Prompt], seconds: float
) -> list[Sample]:
    random = Random(f"{stop.round_trip_ms} {stop.rate_mb_s}")
    samples: list[Sample] = []
    engines = parts.engines
    async with Client(targets(parts)) as client, Turns(engines) as turns:
        # The agents learn the link and their own acceptance here.
        for number in range(plan.warm_up):
            for main in stop.main:
                await turns.give(engine_of(main, engines))
                await _ask(client, main, prompts[-1 - number % len(prompts)].text)
            await turns.give(engine_of(SERVER_ONLY, engines))
            await _ask(client, SERVER_ONLY, prompts[-1].text)
        end = monotonic() + seconds
        number = 0
        while number < plan.least_rounds or monotonic() < end:
            place = number % len(prompts)
            drafted = ways_of_round(stop, number, plan.sweep_every)
            ways: list[Way | str] = [SERVER_ONLY, AGAIN, *drafted]
            if number % plan.sweep_every == 0:
                ways.append(DIRECT)
                if engines.colocated is not None:
                    ways.append(CO_LOCATED)
            random.shuffle(ways)
            for way in ways:
                await turns.give(engine_of(way, engines))
                stream = await _ask(client, way, prompts[place].text)
                samples.append(_sample(number, place, way, stream, prompts[place]))
            number += 1
    return samples


def engine_of(way: Way | str, engines: Engines) -> Running:
    """The engine that answers for a way."""
    if isinstance(way, Way):
        return engines.drafting["cloud"]
    if way == CO_LOCATED and engines.colocated is not None:
        return engines.colocated
    return engines.plain["cloud"]


async def _ask(client: Client, way: Way | str, question: str) -> TokenStream:
    if isinstance(way, Way):
        return await client.ask(way.drafter, request(DEVICE_CLOUD, question, way.window))
    if way == CO_LOCATED:
        return await client.ask(SERVER_ONLY, request(COLOCATED, question))
    target = SERVER_ONLY if way == AGAIN else way
    return await client.ask(target, request(PLAIN_CLOUD, question))


def _sample(number: int, place: int, way: Way | str, stream: TokenStream, prompt: Prompt) -> Sample:
    return Sample(
        number,
        place,
        way,
        stream.tpot,
        stream.ttft,
        stream.latency,
        stream.gaps if way == DIRECT else (),
        stream.ids == list(prompt.ids),
        int(stream.tierflow.get("accepted_tokens") or 0),
        int(stream.tierflow.get("drafted_tokens") or 0),
        stream.degraded,
    )
