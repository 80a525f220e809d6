from __future__ import annotations

import orjson
import pytest

from gateway.core.outcome import Outcome
from gateway.core.speculation.lookup_rule import LEAST_ANSWERS
from gateway.protocol.paths import CHAT
from gateway.serving.speculation.prompt_lookup import PromptLookups
from tests.unit.gateway.build import request
from tests.unit.gateway.fakes import FakeServer
from tests.unit.gateway.rig import DONE, stream
from tests.unit.gateway.serving.speculation.test_drafted_server import ENDPOINT, Engines, event

pytestmark = pytest.mark.anyio
PROMPT = [7, 8, 9, 10, 11, 12, 13, 14, 15]


def lookups(answer: list[int]) -> PromptLookups:
    events = [event([], "", prompt_token_ids=PROMPT)]
    events += [event([token], "x") for token in answer]
    script = stream(*events, event([], "", "stop"), DONE)
    return PromptLookups(
        server=FakeServer({"cloud:1": script}), engines=Engines(), new_id=lambda: "a" * 32
    )


async def ask(rooms: PromptLookups, outcome: Outcome) -> bool:
    """Whether it was drafted for."""
    way = rooms.way(outcome.request, outcome)
    if way is None:
        return False
    body = orjson.dumps({"model": "rill-cloud", "messages": [], "stream": True})
    answer = await way.open(ENDPOINT, CHAT, {}, body)
    while await answer.read():
        pass
    answer.close()
    return True


def new_outcome() -> Outcome:
    return Outcome(request=request("rill-cloud", stream=True))


async def test_what_the_answer_quotes_of_its_prompt_is_drafted() -> None:
    rooms, outcome = lookups([3, 8, 9, 10, 11, 12]), new_outcome()
    assert await ask(rooms, outcome)
    engines = rooms.engines
    assert isinstance(engines, Engines)
    ((_, ((position, ids, before),)), *_) = engines.left
    assert (position, ids, before) == (3, [10, 11], [3, 8, 9])
    assert outcome.lookup_accepted == 3 and outcome.completion_tokens == 6


async def test_a_model_whose_answers_quote_nothing_is_left_alone() -> None:
    rooms = lookups([7, 8, 1, 8, 9, 1, 9, 10, 1, 10, 11, 1])
    drafted = [await ask(rooms, new_outcome()) for _ in range(LEAST_ANSWERS + 10)]
    assert drafted == [True] * LEAST_ANSWERS + [False] * 10


async def test_other_routes_and_large_bodies_are_not_looked_at() -> None:
    rooms, outcome = lookups([]), new_outcome()
    assert rooms.way(request("m", path="/v1/embeddings"), outcome) is None
    assert rooms.way(request("m", body=b" " * 100_000), outcome) is None
