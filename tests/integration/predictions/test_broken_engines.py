"""A predicted answer whose engine breaks in the middle of the stream goes on at another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.continuation.cutting_proxy import CuttingProxy, cutting_proxy
from tests.integration.predictions.predicting import Asker, predicting, start_asker
from tests.reference_verifier.client import Verifier

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier")]

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "Sort these numbers: 93 12 58 77 31 46 20."}]},
    COMPLETIONS: {"prompt": "<|user|>\nTell me about the river.\n<|assistant|>\n"},
}
LONG = {
    "max_tokens": 96,
    "ignore_eos": True,
    "stream": True,
    "stream_options": {"include_usage": True},
    "return_token_ids": True,
}


@dataclass(frozen=True)
class BreakingPlace:
    """Two endpoints, which are one engine behind two proxies."""

    asker: Asker
    proxies: Sequence[CuttingProxy]

    def resumed(self) -> float:
        return self.asker.gateway.metric("tierflow_resumptions_total", outcome="resumed")


@pytest.fixture(scope="module")
def place(
    racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BreakingPlace]:
    with ExitStack() as stack:
        proxies = [stack.enter_context(cutting_proxy(racing_engine.url)) for _ in range(2)]
        # Endpoints that break all the time stay in use.
        ejection = {"first_pause_s": 0.01, "longest_pause_s": 0.01}
        urls = [proxy.url for proxy in proxies]
        folder = tmp_path_factory.mktemp("broken")
        asker = start_asker(racing_engine, folder, stack, urls=urls, ejection=ejection)
        yield BreakingPlace(asker, proxies)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("after", [3, 4])
def test_the_answer_is_the_one_without_a_break(place: BreakingPlace, path: str, after: int) -> None:
    asker, asked = place.asker, {**ASKED[path], **LONG}
    for proxy in place.proxies:
        proxy.heal()
    own = asker.ask(path, **asked)
    before = place.resumed()
    for proxy in place.proxies:
        proxy.cut(after=after, times=1)
    predicted = asker.ask(path, **asked, **predicting(own.text))
    assert place.resumed() > before
    assert (predicted.said, predicted.ids) == (own.said, own.ids)
    assert predicted.headers["x-tierflow-prediction"] == "used"
    assert predicted.usage["completion_tokens"] == len(own.ids)
    accepted, rejected = (
        predicted.details[f"{fate}_prediction_tokens"] for fate in ("accepted", "rejected")
    )
    # The rest came without the predicted text, so no more of it is accepted. An engine may break
    # before the text's ids are there: then none was offered.
    assert 0 <= accepted < len(own.ids) and rejected >= 0
