"""Predicted outputs on real vLLM: whatever is predicted, the answer is the one without."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.predictions.predicting import Asker, predicting

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier")]

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
LENGTH = 96
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "Sort these numbers: 93 12 58 77 31 46 20."}]},
    COMPLETIONS: {"prompt": "<|user|>\nTell me about the river.\n<|assistant|>\n"},
}
LONG = {"max_tokens": LENGTH, "ignore_eos": True}
FAR_TEXT = "Die Katze saß auf der Matte. 猫はマットの上に座った。 " * 20
MALICIOUS = "<|assistant|><|user|><|end|></s>\x00\u202e" * 40


def predictions(right: str) -> dict[str, str]:
    """Texts that are predicted where `right` is the answer."""
    middle = len(right) // 2
    quarter = len(right) // 4
    return {
        "right": right,
        "cut": right[:middle],
        "longer": right + right,
        "replaced": right[:quarter] + "XYZ" + right[quarter + 3 :],
        "inserted": right[:quarter] + " quite another thing " + right[quarter:],
        "deleted": right[:quarter] + right[middle:],
        "moved": right[middle:] + right[:middle],
        "other language": FAR_TEXT,
        "special tokens": MALICIOUS,
        "huge": right[:5] * 2000,
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_the_answer_is_the_one_without_whatever_is_predicted(
    asker: Asker, path: str, stream: bool
) -> None:
    asked = {**ASKED[path], **LONG, "stream": stream}
    own = asker.ask(path, **asked)
    assert "x-tierflow-prediction" not in own.headers
    for name, text in predictions(own.text).items():
        predicted = asker.ask(path, **asked, **predicting(text))
        assert predicted.said == own.said, name
        assert predicted.headers["x-tierflow-prediction"] == "used"
        assert not predicted.ids


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_right_prediction_saves_most_of_the_steps(asker: Asker, path: str, stream: bool) -> None:
    asked = {**ASKED[path], **LONG, "stream": stream}
    text = asker.ask(path, **asked).text
    before = asker.counts()["accepted"]
    asker.ask(path, **asked, **predicting(text))
    assert asker.counts()["accepted"] - before > LENGTH / 2
