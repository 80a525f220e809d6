"""Before the first link: prompts, their exact answers, and how good the natural drafter is."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from functools import partial
from time import monotonic

from gateway.protocol.virtual_models import DEVICE_CLOUD, DEVICE_EDGE, ON_DEVICE
from loadtest.measure.closed_loop import run
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import Question
from loadtest.measure.http_client import post
from loadtest.measure.processes import Process, wait_until
from loadtest.measure.servers import START_S
from loadtest.speculation.client import COMPLETIONS, Client, request
from loadtest.speculation.links import PLAIN_CLOUD, Prompt
from loadtest.speculation.plan import A30, A80, DIRECT, NATURAL, USELESS
from loadtest.speculation.testbed import Testbed

PROMPT_TOKENS = 24
"""Tokens that the cloud size's answer must have at least, to be a prompt for timing."""
ACCEPTANCE_PROMPTS = 8


def choose_prompts(testbed: Testbed, questions: Sequence[Question], count: int) -> list[Prompt]:
    """The first questions whose answer is long enough and ends by itself.

    Raises BenchmarkFailure when there are too few.
    """
    return run(_choose(testbed, questions, count))


async def _choose(testbed: Testbed, questions: Sequence[Question], count: int) -> list[Prompt]:
    prompts: list[Prompt] = []
    async with Client({DIRECT: testbed.targets[DIRECT]}) as client:
        for question in questions[: 4 * count]:
            stream = await client.ask(DIRECT, request(PLAIN_CLOUD, question.prompt))
            if stream.count >= PROMPT_TOKENS and stream.finish_reason == "stop":
                prompts.append(Prompt(question.prompt, stream.prompt_ids, stream.ids))
            if len(prompts) == count:
                return prompts
    raise BenchmarkFailure(
        f"only {len(prompts)} of {4 * count} held-out questions have an answer of at least "
        f"{PROMPT_TOKENS} tokens, and {count} are needed"
    )


def natural_acceptance(testbed: Testbed, prompts: Sequence[Prompt]) -> float:
    """The share of the cloud size's tokens that the device's model would have drafted right,
    given all tokens before: 0 to 1. Raises BenchmarkFailure."""
    return run(_natural_acceptance(testbed, prompts[:ACCEPTANCE_PROMPTS]))


async def _natural_acceptance(testbed: Testbed, prompts: Sequence[Prompt]) -> float:
    hits: list[bool] = []
    async with Client({NATURAL: testbed.agents[NATURAL].target}) as client:
        for prompt in prompts:
            for place, token in enumerate(prompt.ids):
                fields = {
                    "model": ON_DEVICE,
                    "prompt": [*prompt.prompt_ids, *prompt.ids[:place]],
                    "max_tokens": 1,
                    "temperature": 0,
                    "return_token_ids": True,
                }
                answer = json.loads(await client.body(NATURAL, post(COMPLETIONS, fields)))
                hits.append(answer["choices"][0]["token_ids"][:1] == [token])
    return sum(hits) / len(hits)


def spoil_for(natural: float) -> dict[str, float]:
    """By drafter, the probability of replacing a draft token that gives its acceptance."""
    return {
        A80: max(0.0, 1 - 0.8 / natural),
        A30: max(0.0, 1 - 0.3 / natural),
        USELESS: 1.0,
    }


def wait_for_agents(testbed: Testbed, question: str) -> None:
    """Wait until every agent's answers are verified by both tiers.

    Raises BenchmarkFailure when one's are not within START_S.
    """
    run(_wait_for_agents(testbed, question))


async def _wait_for_agents(testbed: Testbed, question: str) -> None:
    targets = {name: agent.target for name, agent in testbed.agents.items()}
    async with Client(targets) as client:
        for name, agent in testbed.agents.items():
            for model in (DEVICE_CLOUD, DEVICE_EDGE):
                end = monotonic() + START_S
                while (await client.ask(name, request(model, question))).degraded:
                    if monotonic() > end:
                        raise BenchmarkFailure(
                            f"{agent.name} found no {model} in {START_S:g} s; see {agent.log}"
                        )


def wait_for_pools(testbed: Testbed) -> None:
    """Wait until both gateways see every pool again, whose engines had been paused.

    Raises BenchmarkFailure when they don't within START_S.
    """
    for gateway in (testbed.baseline, testbed.drafting):
        wait_until(
            partial(_is_ready, gateway),
            START_S,
            f"{gateway.name} misses a pool; see {gateway.log}",
        )


def _is_ready(gateway: Process) -> bool:
    with urllib.request.urlopen(f"{gateway.url}/ready", timeout=5) as response:
        state = json.loads(response.read())
    # A lost mailbox is a condition: without it the answers would come undrafted.
    return all(pool["ready"] for pool in state["pools"].values()) and not state["conditions"]


def learned_acceptance(agent: Process) -> float | None:
    """As the agent itself has measured it over its last sessions with the cloud size."""
    with urllib.request.urlopen(f"{agent.url}/metrics", timeout=5) as page:
        return read_acceptance(page.read().decode())


def read_acceptance(page: str) -> float | None:
    """From Prometheus' text format; None where the agent has not measured it."""
    pattern = r'^tierflow_device_acceptance\{guess="first",model="rill-cloud"\} ([0-9.e+-]+)$'
    values = re.findall(pattern, page, flags=re.MULTILINE)
    return float(values[-1]) if values else None
