from __future__ import annotations

from typing import Any

import pytest

from gateway.core.collective.similarity import cosine
from gateway.errors import EmbeddingFailed
from gateway.serving.collective.embedding import EndpointEmbedder
from tests.unit.gateway.fakes import SteppingClock
from tests.unit.gateway.serving.collective.rig import FakeCalls, broken

pytestmark = pytest.mark.anyio


def embedder(calls: Any) -> EndpointEmbedder:
    return EndpointEmbedder(calls=calls, model="bge", clock=SteppingClock(), new_id=lambda: "id")


async def test_vectors_come_in_the_order_of_the_texts_and_of_unit_length() -> None:
    data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
    calls = FakeCalls(lambda call: {"data": data})
    found = await embedder(calls).embed(["a", "b" * 9000])
    assert found == [[0.6, 0.8], [0.0, 1.0]]
    assert cosine(found[0], found[1]) == pytest.approx(0.8)
    assert calls.calls[0].path == "/v1/embeddings"
    assert len(calls.calls[0].body["input"][1]) == 2000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"data": [{"embedding": "base64"}]},
        {"data": [{"embedding": ["x"]}]},
        {"data": [{"embedding": [0.0]}]},
        {"data": [{"embedding": [float("nan")]}]},
    ],
)
async def test_what_is_no_embedding_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(EmbeddingFailed):
        await embedder(FakeCalls(lambda call: body)).embed(["a"])


async def test_a_pool_that_fails_is_an_embedding_failure() -> None:
    with pytest.raises(EmbeddingFailed) as raised:
        await embedder(FakeCalls(broken())).embed(["a"])
    assert raised.value.code == "engine_error"
