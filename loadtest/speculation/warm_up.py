"""Before the first link: prompts, their exact answers, and how good the natural drafter is."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TypeAlias

from gateway.protocol.virtual_models import DEVICE_CLOUD, DEVICE_EDGE, ON_DEVICE
from loadtest.measure.closed_loop import run
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import Question
from loadtest.measure.http_client import Target, post
from loadtest.measure.processes import Process, wait_until
from loadtest.measure.servers import START_S
from loadtest.speculation.client import COMPLETIONS, Client, request
from loadtest.speculation.links import PLAIN_CLOUD, Prompt
from loadtest.speculation.plan import A30, A80, DIRECT, NATURAL, USELESS

PROMPT_TOKENS = 24
"""Tokens that the cloud size's answer must have at least, to be a prompt for timing."""
MIDDLE_TIER_LEFT_OUT = "middle-tier-left-out"
"""The gateway's condition that a tier in the middle does not pay."""


def choose_prompts(cloud: Target, questions: Sequence[Question], count: int) -> list[Prompt]:
    """The first questions that the cloud size answers at enough length, to an end of its own.

    Raises BenchmarkFailure when there are too few.
    """
    return run(_choose(cloud, questions, count))


async def _choose(cloud: Target, questions: Sequence[Question], count: int) -> list[Prompt]:
    prompts: list[Prompt] = []
    async with Client({DIRECT: cloud}) as client:
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


Hits: TypeAlias = Sequence[Sequence[bool]]
"""For each prompt, which tokens of its answer the natural drafter guesses right."""


def natural_acceptance(agent: Target, prompts: Sequence[Prompt]) -> float:
    """The share of the cloud size's tokens that the device's model would have drafted right,
    given all tokens before: 0 to 1. Raises BenchmarkFailure."""
    return share_of_hits(natural_hits(agent, prompts))


def share_of_hits(hits: Hits) -> float:
    return sum(map(sum, hits)) / sum(map(len, hits))


def natural_hits(agent: Target, prompts: Sequence[Prompt]) -> Hits:
    """The same token by token. Raises BenchmarkFailure."""
    return run(_natural_hits(agent, prompts))


async def _natural_hits(agent: Target, prompts: Sequence[Prompt]) -> Hits:
    hits: list[list[bool]] = []
    async with Client({NATURAL: agent}) as client:
        for prompt in prompts:
            hits.append([])
            for place, token in enumerate(prompt.ids):
                fields = {
                    "model": ON_DEVICE,
                    "prompt": [*prompt.prompt_ids, *prompt.ids[:place]],
                    "max_tokens": 1,
                    "temperature": 0,
                    "return_token_ids": True,
                }
                answer = json.loads(await client.body(NATURAL, post(COMPLETIONS, fields)))
                hits[-1].append(answer["choices"][0]["token_ids"][:1] == [token])
    return hits


def spoil_for(natural: float) -> dict[str, float]:
    """By drafter, the probability of replacing a draft token that gives its acceptance."""
    return {A80: share_for(0.8, natural), A30: share_for(0.3, natural), USELESS: 1.0}


def share_for(acceptance: float, natural: float) -> float:
    """The share of drafts to replace, so that as many are right: 0 where fewer are by nature."""
    return max(0.0, 1 - acceptance / natural)


def wait_for_agents(
    agents: Mapping[str, Process],
    question: str,
    models: Sequence[str] = (DEVICE_CLOUD, DEVICE_EDGE),
) -> None:
    """Wait until every agent's answers are verified by the tiers that these models mean.

    Raises BenchmarkFailure when one's are not within START_S.
    """
    run(_wait_for_agents(agents, question, models))


async def _wait_for_agents(
    agents: Mapping[str, Process], question: str, models: Sequence[str]
) -> None:
    targets = {name: agent.target for name, agent in agents.items()}
    async with Client(targets) as client:
        for name, agent in agents.items():
            for model in models:
                end = monotonic() + START_S
                while (await client.ask(name, request(model, question))).degraded:
                    if monotonic() > end:
                        raise BenchmarkFailure(
                            f"{agent.name} found no {model} in {START_S:g} s; see {agent.log}"
                        )


def wait_for_pools(gateways: Iterable[Process]) -> None:
    """Wait until the gateways see every pool again, whose engines had been paused.

    Raises BenchmarkFailure when they don't within START_S.
    """
    for gateway in gateways:
        wait_until(
            partial(_is_ready, gateway),
            START_S,
            f"{gateway.name} misses a pool; see {gateway.log}",
        )


def _is_ready(gateway: Process) -> bool:
    with urllib.request.urlopen(f"{gateway.url}/ready", timeout=5) as response:
        state = json.loads(response.read())
    # A lost mailbox is a condition: without it the answers would come undrafted. That a tier in the
    # middle does not pay is one too, and a result of the measurement.
    lost = set(state["conditions"]) - {MIDDLE_TIER_LEFT_OUT}
    return all(pool["ready"] for pool in state["pools"].values()) and not lost


def learned_acceptance(agent: Process) -> float | None:
    """As the agent itself has measured it over its last sessions with the cloud size."""
    return read_acceptance(_metrics(agent))


def draft_time_s(agent: Process) -> float:
    """What the agent's drafter takes for a token, as it has measured it. Raises ValueError."""
    return read_draft_time_s(_metrics(agent))


def _metrics(agent: Process) -> str:
    with urllib.request.urlopen(f"{agent.url}/metrics", timeout=5) as page:
        text: str = page.read().decode()
        return text


def read_draft_time_s(page: str) -> float:
    """From Prometheus' text format. Raises ValueError where it is missing."""
    values = re.findall(
        r"^tierflow_device_draft_step_seconds ([0-9.e+-]+)$", page, flags=re.MULTILINE
    )
    if not values:
        raise ValueError("the agent's metrics lack tierflow_device_draft_step_seconds")
    return float(values[-1])


def read_acceptance(page: str) -> float | None:
    """From Prometheus' text format; None where the agent has not measured it."""
    pattern = r'^tierflow_device_acceptance\{guess="first",model="rill-cloud"\} ([0-9.e+-]+)$'
    values = re.findall(pattern, page, flags=re.MULTILINE)
    return float(values[-1]) if values else None
