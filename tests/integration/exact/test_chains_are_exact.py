"""Chains of three tiers: a greedy answer through the edge is the cloud's own, token for token.

Real vLLM in float32 at both, the cloud behind a link that delays; the device is the test's own and
drafts what it likes. The edge's model errs by itself, so that corrections come at every hop.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.protocol.device_link import speculation as wire
from tests.engines import Engines
from tests.integration.device import Device, connected
from tests.integration.exact.chain_fleet import ChainFleet, open_chain_fleet
from tests.integration.exact.chat import DraftedReply, questions
from tests.integration.exact.chat import ask as chat_ask
from tests.integration.exact.drafting_fleet import SCRIPTED, token_of
from tests.servers import eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine("verifier", "middle"),
    pytest.mark.anyio,
]
QUESTIONS = questions(6)
LENGTH = 96


@pytest.fixture(scope="module")
def fleet(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainFleet]:
    with ExitStack() as stack:
        cloud, edge = engines.get("verifier").verifier, engines.get("middle").verifier
        yield open_chain_fleet(edge, cloud, tmp_path_factory.mktemp("chain"), stack)


@pytest.fixture(scope="module")
def prompts(fleet: ChainFleet) -> list[list[int]]:
    return [fleet.cloud.tokenize(f"<|user|>\n{each}\n<|assistant|>\n") for each in QUESTIONS]


@pytest.fixture(scope="module")
def right(fleet: ChainFleet, prompts: list[list[int]]) -> list[list[int]]:
    """What the cloud alone says."""
    how: dict[str, Any] = {"temperature": 0, "max_tokens": LENGTH, "ignore_eos": True}
    return [fleet.cloud.answer(prompt, **how).ids for prompt in prompts]


Drafts = Callable[[random.Random, list[int]], list[int]]


def nothing(chance: random.Random, ids: list[int]) -> list[int]:
    return []


def all_right(chance: random.Random, ids: list[int]) -> list[int]:
    return ids


def spoiled(chance: random.Random, ids: list[int]) -> list[int]:
    return [chance.randrange(1000) if chance.random() < 0.3 else token for token in ids]


def wrong(chance: random.Random, ids: list[int]) -> list[int]:
    return [(token + 1) % 1000 for token in ids]


@dataclass
class Session:
    """One answer: `text` is what the device has, verified or expected."""

    s: int
    right: list[int]
    drafts: Drafts
    heard: list[int] = field(default_factory=list)
    text: list[int] = field(default_factory=list)
    writers: Counter[int] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def note(self, frame: wire.Tokens | wire.Ahead) -> wire.Draft | None:
        """The next drafts after it."""
        if isinstance(frame, wire.Tokens):
            assert frame.p == len(self.heard)
            assert len(frame.w) == len(frame.i)
            self.heard += frame.i
            self.writers.update(frame.w)
        if self.text[frame.p : frame.p + len(frame.i)] != frame.i:
            self.text[frame.p :] = frame.i
        place = len(self.text)
        ids = self.drafts(self.chance, self.right[place : place + 8])
        return wire.Draft(s=self.s, p=place, i=ids, b=self.text[-4:]) if ids else None


async def play(
    device: Device, sessions: list[Session], heard: Callable[[Session], None] = lambda _: None
) -> None:
    """Until all have ended."""
    known, ended = {session.s: session for session in sessions}, 0
    while ended < len(sessions):
        frame = await device.get()
        assert not isinstance(frame, wire.Error), frame
        if isinstance(frame, wire.Done):
            assert frame.reason == "length"
            ended += 1
        elif isinstance(frame, wire.Tokens | wire.Ahead):
            session = known[frame.s]
            if (draft := session.note(frame)) is not None:
                await device.put(draft)
            heard(session)


async def ask(
    fleet: ChainFleet,
    prompts: list[list[int]],
    right: list[list[int]],
    drafts: Drafts,
    heard: Callable[[Session], None] = lambda _: None,
) -> list[Session]:
    """All questions at once, each answer compared with the cloud's own."""
    sessions = [Session(s, ids, drafts) for s, ids in enumerate(right)]
    async with connected(fleet.gateway.url, token_of(SCRIPTED[0])) as device:
        (offer,) = [offer for offer in device.welcome.offers if offer.tier == "cloud"]
        sampling = wire.Sampling(temperature=0, max_tokens=LENGTH, ignore_eos=True)
        for session, prompt in zip(sessions, prompts, strict=True):
            opening = wire.Open(
                s=session.s,
                tier="cloud",
                through=("edge",),
                tokenizer=offer.tokenizer,
                prompt=prompt,
                sampling=sampling,
            )
            await device.put(opening)
        await play(device, sessions, heard)
    for session in sessions:
        assert session.heard == session.right
    return sessions


@pytest.mark.parametrize("delay_ms", [0, 10, 25])
@pytest.mark.parametrize("drafts", [nothing, all_right, spoiled, wrong])
async def test_an_answer_through_the_edge_is_the_clouds_own(
    fleet: ChainFleet,
    prompts: list[list[int]],
    right: list[list[int]],
    drafts: Drafts,
    delay_ms: int,
) -> None:
    fleet.delay_cloud(delay_ms)
    sessions = await ask(fleet, prompts, right, drafts)
    writers = sum((session.writers for session in sessions), Counter[int]())
    if drafts in (all_right, spoiled):
        assert writers[0] > 20, writers
    else:
        # How much the edge writes then is a matter of the two engines' speeds.
        assert set(writers) <= {1, 2}, writers


async def test_an_edge_that_dies_in_the_middle_changes_nothing(
    fleet: ChainFleet, prompts: list[list[int]], right: list[list[int]]
) -> None:
    fleet.delay_cloud(10)
    cut = False

    def heard(session: Session) -> None:
        nonlocal cut
        if not cut and len(session.heard) > LENGTH / 3:
            cut = True
            fleet.cut_edge(2.0)

    await ask(fleet, prompts, right, spoiled, heard)
    assert cut
    await asyncio.to_thread(fleet.wait_for_edge)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"ignore_eos": True},
        {"stop": ["e"]},
        {"logprobs": True, "top_logprobs": 2},
        {"response_format": {"type": "json_object"}},
        {"logit_bias": {"40": 5, "50": -5}},
    ],
    ids=str,
)
def test_a_caller_without_a_device_hears_what_the_cloud_says(
    fleet: ChainFleet, stream: bool, how: dict[str, Any]
) -> None:
    fleet.delay_cloud(10)
    before = fleet.written_by("edge")

    def asked(model: str) -> list[DraftedReply]:
        with ThreadPoolExecutor(len(QUESTIONS)) as threads:
            replies = [
                threads.submit(chat_ask, fleet.gateway.url, model, each, stream, **how)
                for each in QUESTIONS
            ]
            return [reply.result() for reply in replies]

    alone = [reply.unchanged for reply in asked("rill-cloud")]

    def helped() -> bool:
        """On a machine that both engines share the edge may be too late for a whole answer."""
        assert [reply.unchanged for reply in asked("tierflow-edge-cloud")] == alone
        return how != {"ignore_eos": True} or fleet.written_by("edge") > before + 20

    eventually(helped, "the edge has helped", seconds=60.0)
