"""How members are compared with a question while their descriptions' vectors are still made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import EmbeddingFailed
from gateway.serving.collective.fit import DescriptionVectors, FitEstimator
from gateway.serving.collective.selection import MAX_COMPARED, eligible
from tests.unit.gateway.fake_members import FakeMembers, member
from tests.unit.gateway.serving.collective.rig import CollectiveRecorder

pytestmark = pytest.mark.anyio
QUESTION = "words to weigh"


class Slow:
    """Embeds questions at once, and descriptions (texts that say good) when it may."""

    name = "slow"

    def __init__(self) -> None:
        self.may = asyncio.Semaphore(0)
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        for text in texts:
            if text.startswith("good"):
                self.embedded.append(text)
                await self.may.acquire()
        return [[1.0, 0.0] if "w" in text else [0.0, 1.0] for text in texts]

    def release(self, texts: int) -> None:
        for _ in range(texts):
            self.may.release()


MEMBERS = [
    member("near", description="good swimmer"),
    member("far", description="good to weigh words"),
]


async def test_a_question_does_not_wait_for_descriptions_that_take_long() -> None:
    slow, telemetry = Slow(), CollectiveRecorder()
    fitting = FitEstimator(
        embedder=slow,
        domains={"words": "words"},
        telemetry=telemetry,
        timeout_s=5.0,
        patience_s=0.01,
    )
    first = await fitting.fit(QUESTION, MEMBERS)
    assert (first.domain, first.method) == ("words", "embedding")
    assert first.similarity["near"] == 0.0 < first.similarity["far"], "by their words"
    assert telemetry.unembedded == []
    fitting.close()


async def test_descriptions_are_embedded_meanwhile_and_once_for_all_requests() -> None:
    slow = Slow()
    fitting = FitEstimator(
        embedder=slow, domains={}, telemetry=CollectiveRecorder(), timeout_s=5.0, patience_s=0.01
    )
    await asyncio.gather(*(fitting.fit(QUESTION, MEMBERS) for _ in range(3)))
    slow.release(2)
    async with asyncio.timeout(10):
        while set((await fitting.fit(QUESTION, MEMBERS)).similarity.values()) != {1.0}:
            pass
    assert sorted(slow.embedded) == ["good swimmer", "good to weigh words"]


async def test_more_descriptions_than_there_is_room_for_do_not_drive_each_other_out() -> None:
    slow = Slow()
    slow.release(100)
    offers = DescriptionVectors(slow, CollectiveRecorder(), max_vectors=2)
    many = [member(f"m{n}", description=f"good {n}") for n in range(4)]
    for _ in range(3):
        assert set(await offers.vectors(many, 5.0)) == {"m0", "m1"}
    assert slow.embedded == ["good 0", "good 1"]
    assert set(await offers.vectors(many[2:], 5.0)) == {"m2", "m3"}, "who has gone makes room"


async def test_descriptions_that_can_not_be_embedded_are_compared_by_words() -> None:
    class Broken(Slow):
        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            if any(text.startswith("good") for text in texts):
                raise EmbeddingFailed("no", code="embedding_broken")
            return await super().embed(texts)

    telemetry = CollectiveRecorder()
    found = await FitEstimator(
        embedder=Broken(), domains={}, telemetry=telemetry, timeout_s=5.0
    ).fit(QUESTION, MEMBERS)
    assert found.similarity["far"] > found.similarity["near"]
    assert telemetry.unembedded == ["slow"]


async def test_the_operator_is_told_while_questions_get_no_vector() -> None:
    class Ill(Slow):
        well = False

        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            if not self.well:
                raise EmbeddingFailed("its engine is down", code="no_endpoint")
            return await super().embed(texts)

    ill = Ill()
    fitting = FitEstimator(
        embedder=ill, domains={}, telemetry=CollectiveRecorder(), timeout_s=5.0, patience_s=0.01
    )
    assert fitting.problem == ""
    await fitting.fit(QUESTION, MEMBERS)
    assert fitting.problem == "slow: its engine is down"
    ill.well = True
    await fitting.fit(QUESTION, MEMBERS)
    assert fitting.problem == ""
    fitting.close()


def test_of_very_many_members_some_are_compared_others_with_another_question() -> None:
    crowd = FakeMembers(dict.fromkeys((f"m{n}" for n in range(MAX_COMPARED + 50)), "7"))
    one, again, other = (
        [m.id for m in eligible(crowd, lambda member: None, question, "m7")] for question in "aab"
    )
    assert len(one) == MAX_COMPARED and one == again and one[0] == "m7"
    assert set(one) != set(other)
