"""vLLM with our scheduler beside plain vLLM: every option is served, with the same answers.

Both in float32 on the shipped family, so that the company in a batch changes no token.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.engines import Engines
from tests.reference_verifier.client import MailboxClient, Verifier, http, new_session

pytestmark = [pytest.mark.integration, pytest.mark.engine("cloud", "verifier")]
TEXT = "<|user|>\nTell me about the river and the town.\n<|assistant|>\n"
LENGTH = 32
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": LENGTH, "ignore_eos": True}
SEEDED: dict[str, Any] = {"temperature": 1.0, "seed": 7, "max_tokens": LENGTH, "ignore_eos": True}
UNVERIFIED = [
    {**GREEDY, "logit_bias": {"20": 12, "6": -8}},
    {**SEEDED, "min_p": 0.1},
    {**SEEDED, "logit_bias": {"20": 3.5}, "min_p": 0.05, "top_k": 40},
]
"""What vLLM's rejection sampler leaves out, so that such a request is given no drafts."""

VERIFIED = [
    {**GREEDY, "presence_penalty": 0.7, "frequency_penalty": 0.4},
    {**GREEDY, "repetition_penalty": 1.3},
    {**GREEDY, "bad_words": ["river"]},
    {**GREEDY, "allowed_token_ids": list(range(4, 700))},
    {**GREEDY, "min_tokens": 20, "ignore_eos": False},
    {**GREEDY, "stop": ["town"], "ignore_eos": False},
    {**GREEDY, "max_tokens": 1},
]
"""What must come out the same with drafts."""


@pytest.fixture
def racing(racing_engine: Verifier) -> Verifier:
    return racing_engine


@pytest.fixture
def plain(engines: Engines) -> Verifier:
    return engines.get("cloud").verifier


@pytest.fixture
def mailbox(racing: Verifier) -> Iterator[MailboxClient]:
    with MailboxClient(racing.mailbox) as client:
        yield client


@pytest.fixture
def prompt(plain: Verifier) -> list[int]:
    return plain.tokenize(TEXT)


def accepted(mailbox: MailboxClient) -> int:
    return mailbox.counts()["accepted"]


@pytest.mark.parametrize("sampling", UNVERIFIED)
def test_what_vllm_refuses_beside_speculation_is_served_as_without(
    racing: Verifier,
    plain: Verifier,
    mailbox: MailboxClient,
    prompt: list[int],
    sampling: dict[str, Any],
) -> None:
    expected, before = plain.answer(prompt, **sampling).ids, mailbox.counts()
    assert expected != plain.answer(prompt, **(GREEDY if "seed" not in sampling else SEEDED)).ids
    session = new_session()
    mailbox.put(session, 0, expected)
    assert racing.answer(prompt, session, **sampling).ids == expected
    assert mailbox.counts()["offered"] == before["offered"]


@pytest.mark.parametrize("sampling", UNVERIFIED)
def test_it_is_served_so_beside_one_that_is_drafted_for(
    racing: Verifier,
    plain: Verifier,
    mailbox: MailboxClient,
    prompt: list[int],
    sampling: dict[str, Any],
) -> None:
    expected = plain.answer(prompt, **sampling).ids
    beside: dict[str, Any] = {**GREEDY, "max_tokens": 100}
    right, before = plain.answer(prompt, **beside).ids, accepted(mailbox)
    session = new_session()
    mailbox.put(session, 0, [*right[:20], 700])

    def race(heard: list[int]) -> None:
        at = len(heard) + 1
        if at < len(right):
            mailbox.put(session, at, [*right[at : at + 3], 700])

    def others(_: int) -> list[int]:
        return racing.answer(prompt, **sampling).ids

    with ThreadPoolExecutor(3) as threads:
        drafted = threads.submit(racing.answer, prompt, session, race, **beside)
        answers = list(threads.map(others, range(4)))
        assert drafted.result().ids == right
    assert answers == [expected] * 4
    assert accepted(mailbox) > before


@pytest.mark.parametrize("sampling", VERIFIED)
def test_every_other_option_keeps_its_answer_with_drafts(
    racing: Verifier,
    plain: Verifier,
    mailbox: MailboxClient,
    prompt: list[int],
    sampling: dict[str, Any],
) -> None:
    expected, before = plain.answer(prompt, **sampling), accepted(mailbox)
    half = len(expected.ids) // 2
    session = new_session()
    mailbox.put(session, 0, [*expected.ids[:half], 700, *expected.ids[half:]])
    mailbox.put(session, half, [*expected.ids[half:], 700, 700])
    answer = racing.answer(prompt, session, **sampling)
    assert answer.ids[: len(expected.ids)] == expected.ids
    assert answer.finish_reason == expected.finish_reason
    if "stop" not in sampling:
        assert answer.ids == expected.ids
    if sampling["max_tokens"] > 1:
        assert accepted(mailbox) > before


def test_log_probabilities_come_with_drafts_too(
    racing: Verifier, plain: Verifier, mailbox: MailboxClient, prompt: list[int]
) -> None:
    right, before = plain.answer(prompt, **GREEDY).ids, accepted(mailbox)
    session = new_session()
    mailbox.put(session, 0, right)
    body = {"model": plain.model, "prompt": prompt, "logprobs": 2, **GREEDY}
    expected = http.post(plain.url + "/v1/completions", json=body).json()["choices"][0]
    body["vllm_xargs"] = {"draft_session": session}
    drafted = http.post(racing.url + "/v1/completions", json=body).json()["choices"][0]
    assert drafted["text"] == expected["text"]
    for name in ("token_logprobs", "top_logprobs"):
        for ours, theirs in zip(drafted["logprobs"][name], expected["logprobs"][name], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-3)
    assert accepted(mailbox) > before


def test_a_grammar_holds_with_drafts(
    racing: Verifier, plain: Verifier, mailbox: MailboxClient, prompt: list[int]
) -> None:
    sampling = {**GREEDY, "structured_outputs": {"regex": "[a-z ]{20,30}"}}
    expected, before = plain.answer(prompt, **sampling).ids, accepted(mailbox)
    session = new_session()
    mailbox.put(session, 0, [*expected[:6], 20, *expected[6:]])
    mailbox.put(session, 6, expected[6:], expected[2:6])
    assert racing.answer(prompt, session, **sampling).ids == expected
    assert accepted(mailbox) > before


def test_the_first_request_keeps_a_session_that_two_name(
    racing: Verifier, plain: Verifier, mailbox: MailboxClient, prompt: list[int]
) -> None:
    other = plain.tokenize("The old man")
    right, theirs = plain.answer(prompt, **GREEDY).ids, plain.answer(other, **GREEDY).ids
    session = new_session()
    mailbox.put(session, 0, right)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(racing.answer, prompt, session, **GREEDY)
        second = threads.submit(racing.answer, other, session, **GREEDY)
        assert (first.result().ids, second.result().ids) == (right, theirs)


def test_several_answers_to_one_request_share_no_drafts(
    racing: Verifier, plain: Verifier, mailbox: MailboxClient, prompt: list[int]
) -> None:
    body = {"model": plain.model, "prompt": prompt, "n": 3, "return_token_ids": True, **SEEDED}

    def answers(url: str) -> list[list[int]]:
        choices = http.post(url + "/v1/completions", json=body).json()["choices"]
        return [choice["token_ids"] for choice in choices]

    expected = answers(plain.url)
    session = new_session()
    mailbox.put(session, 1, [1] * 8)
    body["vllm_xargs"] = {"draft_session": session}
    drafted = answers(racing.url)
    # A seeded answer with drafts draws other random numbers: only the first may differ.
    assert drafted[1:] == expected[1:]


def test_the_engine_fails_nothing(
    racing: Verifier, plain: Verifier, mailbox: MailboxClient
) -> None:
    assert mailbox.counts()["failures"] == 0
    for engine in (racing, plain):
        assert httpx.get(engine.url + "/health").status_code == 200
