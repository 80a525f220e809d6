"""Predicted outputs on real vLLM: whatever is predicted, the answer is the one without."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from loadtest.prediction.workload import edit_question
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


@pytest.mark.parametrize("text", ['{"sorted": [12, 20', "no JSON at all"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_predicted_answer_keeps_the_form_that_it_must_have(
    asker: Asker, stream: bool, text: str
) -> None:
    asked = {**ASKED[CHAT], "max_tokens": LENGTH, "stream": stream}
    asked |= {"response_format": {"type": "json_object"}}
    own = asker.ask(CHAT, **asked)
    assert asker.ask(CHAT, **asked, **predicting(own.text)).said == own.said
    assert asker.ask(CHAT, **asked, **predicting(text)).said == own.said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_right_prediction_saves_most_of_the_steps(asker: Asker, path: str, stream: bool) -> None:
    asked = {**ASKED[path], **LONG, "stream": stream}
    text = asker.ask(path, **asked).text
    before = asker.counts()["accepted"]
    asker.ask(path, **asked, **predicting(text))
    assert asker.counts()["accepted"] - before > LENGTH / 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_quotes_its_prompt_is_the_same_with_drafts_out_of_it(
    asker: Asker, lookup_asker: Asker, stream: bool
) -> None:
    random = Random(5)
    for _ in range(4):
        messages = [{"role": "user", "content": edit_question(random)}]
        asked = {"messages": messages, **LONG, "stream": stream}
        assert lookup_asker.ask(CHAT, **asked).said == asker.ask(CHAT, **asked).said
    assert lookup_asker.gateway.metric("tierflow_prompt_lookup_tokens_total") > 0


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_whole_answer_has_the_engines_own_form(asker: Asker, path: str) -> None:
    asked = {**ASKED[path], **LONG, "return_token_ids": True}
    own = asker.ask(path, **asked)
    predicted = asker.ask(path, **asked, **predicting(own.text))
    assert list(predicted.body) == list(own.body)
    changing = ("id", "created", "usage", "metrics")
    for name in own.body:
        if name not in changing:
            assert predicted.body[name] == own.body[name], name
    details = predicted.usage.pop("completion_tokens_details")
    own.usage.pop("completion_tokens_details")
    assert predicted.usage == own.usage
    assert details["accepted_prediction_tokens"] > LENGTH / 2


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_stream_has_the_engines_own_form(asker: Asker, path: str) -> None:
    asked = {**ASKED[path], **LONG, "stream": True}
    own = asker.ask(path, **asked)
    predicted = asker.ask(path, **asked, **predicting(own.text))
    forms = [
        {(*event, *event["choices"][0]) for event in reply.events} for reply in (own, predicted)
    ]
    assert forms[0] == forms[1]
    assert not own.usage and not predicted.usage


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_the_usage_tells_what_was_kept(asker: Asker, path: str, stream: bool) -> None:
    asked = {**ASKED[path], **LONG, "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    own = asker.ask(path, **asked)
    assert not own.details
    right = asker.ask(path, **asked, **predicting(own.text))
    size = len(asker.engine.tokenize(own.text))
    kept = right.details["accepted_prediction_tokens"]
    assert size - 2 <= kept + right.details["rejected_prediction_tokens"] <= size
    assert kept >= size - 2
    wrong = asker.ask(path, **asked, **predicting("Quite another answer than that one"))
    assert wrong.details["accepted_prediction_tokens"] <= 2
    assert wrong.details["rejected_prediction_tokens"] > 2
    assert wrong.usage["completion_tokens"] == own.usage["completion_tokens"] == LENGTH


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (CHAT, "n", 2),
        (CHAT, "logprobs", True),
        (CHAT, "presence_penalty", 0.5),
        (CHAT, "frequency_penalty", 0.5),
        (CHAT, "modalities", ["text", "audio"]),
        (CHAT, "tools", [{"type": "function", "function": {"name": "f"}}]),
        (COMPLETIONS, "n", 2),
        (COMPLETIONS, "logprobs", 1),
        (COMPLETIONS, "echo", True),
        (COMPLETIONS, "best_of", 2),
    ],
)
def test_what_openai_refuses_beside_a_prediction_is_refused_by_its_name(
    asker: Asker, path: str, field: str, value: Any
) -> None:
    asked = {**ASKED[path], "temperature": 1, field: value}
    refused = asker.post(path, **asked, **predicting("a text"))
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == field and "prediction" in error["message"]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize(
    ("prediction", "param"),
    [
        ("a text", "prediction"),
        ({"type": "other", "content": "a text"}, "prediction.type"),
        ({"type": "content"}, "prediction.content"),
        ({"type": "content", "content": [{"type": "image_url"}]}, "prediction.content.0.type"),
        ({"type": "content", "content": "a" * 140_000}, "prediction"),
    ],
)
def test_a_prediction_that_is_none_is_refused(
    asker: Asker, path: str, prediction: Any, param: str
) -> None:
    refused = asker.post(path, **ASKED[path], prediction=prediction)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == param


def test_parts_of_a_text_are_a_prediction_too(asker: Asker) -> None:
    asked = {**ASKED[CHAT], **LONG}
    own = asker.ask(CHAT, **asked).text
    parts = [{"type": "text", "text": own[:20]}, {"type": "text", "text": own[20:]}]
    told = asker.ask(CHAT, **asked, prediction={"type": "content", "content": parts})
    assert told.text == own
    assert told.details["accepted_prediction_tokens"] > LENGTH / 2


def test_a_prediction_that_cannot_be_used_is_told_and_answered(asker: Asker) -> None:
    asked = {**ASKED[CHAT], **LONG, "min_p": 0.05}
    plain = asker.ask(CHAT, **asked)
    told = asker.ask(CHAT, **asked, **predicting(plain.text))
    assert told.headers["x-tierflow-prediction"] == "not-used: min_p"
    assert told.said == plain.said
