"""Before the first link: prompts, their exact answers, and how good the natural drafter is."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from time import monotonic, sleep

from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.loops import run
from loadtest.measure.processes import Running
from loadtest.measure.serving import START_S
from loadtest.measure.wire import post
from loadtest.speculation.asking import (
    COMPLETIONS,
    DEVICE_CLOUD,
    DEVICE_EDGE,
    ON_DEVICE,
    Client,
    request,
    targets,
)
from loadtest.speculation.parts import Parts
from loadtest.speculation.plan import A30, A80, NATURAL, USELESS
from loadtest.speculation.questions import PROMPT_TOKENS, Question
from loadtest.speculation.stops import DIRECT, PLAIN_CLOUD, Prompt

ACCEPTANCE_PROMPTS = 8


def choose_prompts(parts: Parts, questions: Sequence[Question], count: int) -> list[Prompt]:
    """The first questions whose answer is long enough and ends by itself.

    Raises BenchmarkFailure when there are too few.
    """
    return run(_choose(parts, questions, count))


async def _choose(parts: Parts, questions: Sequence[Question], count: int) -> list[Prompt]:
    found: list[Prompt] = []
    async with Client({DIRECT: targets(parts)[DIRECT]}) as client:
        for question in questions[: 4 * count]:
            stream = await client.ask(DIRECT, request(PLAIN_CLOUD, question.prompt))
            if stream.count >= PROMPT_TOKENS and stream.finish_reason == "stop":
                found.append(Prompt(question.prompt, stream.prompt_ids, stream.ids))
            if len(found) == count:
                return found
    raise BenchmarkFailure(
        f"only {len(found)} of {4 * count} held-out questions have an answer of at least "
        f"{PROMPT_TOKENS} tokens, and {count} are needed"
    )


def natural_acceptance(parts: Parts, prompts: Sequence[Prompt]) -> float:
    """The share of the cloud size's tokens that the device's model would have drafted right,
    given all tokens before: 0 to 1. Raises BenchmarkFailure."""
    return run(_natural_acceptance(parts, prompts[:ACCEPTANCE_PROMPTS]))


async def _natural_acceptance(parts: Parts, prompts: Sequence[Prompt]) -> float:
    hits: list[bool] = []
    async with Client({NATURAL: parts.agents[NATURAL].target}) as client:
        for prompt in prompts:
            for place, token in enumerate(prompt.ids):
                fields = {
                    "model": ON_DEVICE,
                    "prompt": [*prompt.prompt_ids, *prompt.ids[:place]],
                    "max_tokens": 1,
                    "temperature": 0,
                    "return_token_ids": True,
                }
                told = json.loads(await client.body(NATURAL, post(COMPLETIONS, fields)))
                hits.append(told["choices"][0]["token_ids"][:1] == [token])
    return sum(hits) / len(hits)


def spoil_for(natural: float) -> dict[str, float]:
    """By drafter, how often to replace a draft token, so that acceptance becomes what it says."""
    return {
        A80: max(0.0, 1 - 0.8 / natural),
        A30: max(0.0, 1 - 0.3 / natural),
        USELESS: 1.0,
    }


def wait_for_links(parts: Parts, question: str) -> None:
    """Until every agent's answers are verified by both tiers.

    Raises BenchmarkFailure when one's are not within START_S.
    """
    run(_wait_for_links(parts, question))


async def _wait_for_links(parts: Parts, question: str) -> None:
    async with Client({name: agent.target for name, agent in parts.agents.items()}) as client:
        for name, agent in parts.agents.items():
            for model in (DEVICE_CLOUD, DEVICE_EDGE):
                end = monotonic() + START_S
                while (await client.ask(name, request(model, question))).degraded:
                    if monotonic() > end:
                        raise BenchmarkFailure(
                            f"{agent.name} found no {model} in {START_S:g} s; see {agent.log}"
                        )


def wait_for_pools(parts: Parts) -> None:
    """Until both gateways see every pool again, whose engines had been paused.

    Raises BenchmarkFailure when they don't within START_S.
    """
    end = monotonic() + START_S
    for gateway in (parts.baseline, parts.drafting):
        while not _all_ready(gateway):
            if monotonic() > end:
                raise BenchmarkFailure(f"{gateway.name} misses a pool; see {gateway.log}")
            sleep(0.1)


def _all_ready(gateway: Running) -> bool:
    with urllib.request.urlopen(f"{gateway.url}/ready", timeout=5) as answer:
        told = json.loads(answer.read())
    # A lost mailbox is a condition: without it the answers would come undrafted.
    return all(pool["ready"] for pool in told["pools"].values()) and not told["conditions"]


def learned_acceptance(agent: Running) -> float | None:
    """As the agent itself has measured it over its last sessions with the cloud size."""
    with urllib.request.urlopen(f"{agent.url}/metrics", timeout=5) as page:
        return read_acceptance(page.read().decode())


def read_acceptance(page: str) -> float | None:
    """From Prometheus' text format; None where the agent doesn't tell."""
    pattern = r'^tierflow_device_acceptance\{guess="first",model="rill-cloud"\} ([0-9.e+-]+)$'
    found = re.findall(pattern, page, flags=re.MULTILINE)
    return float(found[-1]) if found else None
