"""What every verifier of drafts keeps: answers are as without drafts, whatever the drafts are.

Greedy answers must be the same tokens. Sampled ones must have the same distribution: Pearson's
chi-square test of homogeneity at ALPHA on two samples of SAMPLES answers with fixed seeds. By
simulation, a token of probability 0.5, others 0.1 each, that drafts raised to 0.75 (half of what
should be refused is accepted) would be found with 98 %, to 0.7 with 67 %.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.protocol import mailbox as wire
from tests.contract.rounds_server import RoundsServer
from tests.engines import AT_ONCE, Engines, family
from tests.reference_verifier.client import MailboxClient, Verifier, new_session
from tests.reference_verifier.statistics import same_distribution
from tests.servers import eventually

pytestmark = pytest.mark.integration
TEXT = "<|user|>\nTell me about the river and the town.\n<|assistant|>\n"
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 40, "ignore_eos": True}
SAMPLES = 250
ALPHA = 0.001

Put = Callable[[str, Sequence[int], MailboxClient], None]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("verifier", id="engine", marks=pytest.mark.engine("verifier")),
        pytest.param("textbook", id="reference", marks=pytest.mark.engine("textbook")),
        pytest.param("cloud", id="rounds", marks=pytest.mark.engine("cloud")),
        pytest.param("llama.cpp", id="rounds-llama.cpp"),
    ],
)
def verifier(request: pytest.FixtureRequest, engines: Engines) -> Iterator[Verifier]:
    """An engine with its own mailbox; or one without, which checks drafts in rounds."""
    if request.param == "llama.cpp":
        with llama_server() as server:
            yield server.verifier
        return
    engine = engines.get(request.param)
    if engine.mailbox is not None:
        yield engine.verifier
        return
    config = json.loads((family() / engine.server.name / "config.json").read_text())
    with RoundsServer(engine.server.url, engine.server.name, config["vocab_size"]) as server:
        yield server.verifier


def llama_server() -> RoundsServer:
    """Before the server of llama.cpp that TIERFLOW_TEST_LLAMA_SERVER names; skips without one."""
    url = os.environ.get("TIERFLOW_TEST_LLAMA_SERVER", "").rstrip("/")
    if not url:
        pytest.skip(
            "TIERFLOW_TEST_LLAMA_SERVER is not set: the URL of a llama-server with a model of the "
            "shipped family, see tests/contract/llama_model.py"
        )
    model = httpx.get(url + "/v1/models", trust_env=False).json()["data"][0]
    return RoundsServer(url, model["id"], model["meta"]["n_vocab"])


@pytest.fixture
def mailbox(verifier: Verifier) -> Iterator[MailboxClient]:
    with MailboxClient(verifier.mailbox) as client:
        yield client


@pytest.fixture(scope="module")
def prompt(verifier: Verifier) -> list[int]:
    return verifier.tokenize(TEXT)


@pytest.fixture(scope="module")
def plain(verifier: Verifier, prompt: list[int]) -> list[int]:
    """The greedy answer without drafts."""
    return verifier.answer(prompt, **GREEDY).ids


def wrong(ids: Sequence[int]) -> list[int]:
    """Other ids of the vocabulary, at every place."""
    return [token + 1 if token < 1000 else token - 1 for token in ids]


def all_right(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    mailbox.put(session, 0, right)


def all_wrong(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    mailbox.put(session, 1, wrong(right[1:]))


def spoiled(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    mixed = [
        w if at % 5 == 4 else r for at, (r, w) in enumerate(zip(right, wrong(right), strict=True))
    ]
    for at in range(0, len(right), 5):
        mailbox.put(session, at, mixed[at : at + 5], right[max(0, at - 4) : at])


def far_ahead(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    mailbox.put(session, 10, right[10:20], right[6:10])
    mailbox.put(session, len(right) - 2, [*right[-2:], *right], right[-6:-2])
    mailbox.put(session, 1 << 30, right)


def duplicated(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    for _ in range(3):
        mailbox.put(session, 0, right)
        mailbox.put(session, 5, right[5:9], right[3:5])


def contradicting(session: str, right: Sequence[int], mailbox: MailboxClient) -> None:
    mailbox.put(session, 1, [*right[1:4], *wrong(right[4:9])])
    mailbox.put(session, 4, right[4:], right[1:4])
    mailbox.put(session, 4, wrong(wrong(right[4:])), right[1:4])
    mailbox.put(session, 8, right[8:], wrong(right[4:8]))


DRAFTS = [all_right, all_wrong, spoiled, far_ahead, duplicated, contradicting]


@pytest.mark.parametrize("put", DRAFTS)
def test_greedy_answers_are_those_without_drafts(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int], put: Put
) -> None:
    session, before = new_session(), mailbox.counts()
    put(session, plain, mailbox)
    answer = verifier.answer(prompt, session, **GREEDY)
    assert answer.ids == plain
    assert answer.finish_reason == "length"
    assert answer.usage["completion_tokens"] == GREEDY["max_tokens"]
    assert mailbox.counts()["offered"] > before["offered"]
    assert mailbox.counts()["failures"] == 0


@pytest.mark.parametrize("distance", [-6, -1, 0, 1, 3])
def test_drafts_that_race_the_answer_never_change_it(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int], distance: int
) -> None:
    """Distance: from what was heard last to where the drafts stand; below 0 they are late."""
    session = new_session()

    def race(heard: list[int]) -> None:
        at = max(0, len(heard) + distance)
        for tokens in (plain[at : at + 4], wrong(plain[at : at + 4])):
            if tokens:
                mailbox.put(session, at, tokens, plain[max(0, at - 4) : at])

    assert verifier.answer(prompt, session, race, **GREEDY).ids == plain


def test_right_drafts_save_steps(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int]
) -> None:
    session, before = new_session(), verifier.steps()
    mailbox.put(session, 0, plain)
    assert verifier.answer(prompt, session, **GREEDY).ids == plain
    # 40 tokens: the prompt's step says one, then each of three says up to 16 drafts and one more.
    eventually(lambda: verifier.steps() == before + 4, "4 steps")


def test_the_branch_that_is_right_is_found_after_the_one_that_was_wrong(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int]
) -> None:
    session, before = new_session(), verifier.steps()
    mailbox.put(session, 1, [*plain[1:5], *wrong(plain[5:12])])
    mailbox.put(session, 5, plain[5:], plain[1:5])
    assert verifier.answer(prompt, session, **GREEDY).ids == plain
    # 1 of the prompt, 5 of the wrong branch, and 34 in steps of at most 17.
    eventually(lambda: verifier.steps() == before + 4, "4 steps")


def test_useless_drafts_cost_no_token(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int]
) -> None:
    session, useless = new_session(), wrong(plain)
    counts, before = mailbox.counts(), verifier.steps()

    def mislead(heard: list[int]) -> None:
        at = len(heard) + 1
        if at < len(plain):
            mailbox.put(session, at, useless[at : at + 8])

    mailbox.put(session, 1, useless[1:9])
    assert verifier.answer(prompt, session, mislead, **GREEDY).ids == plain
    eventually(lambda: verifier.steps() == before + len(plain), "one step a token")
    assert mailbox.counts()["offered"] > counts["offered"]
    assert mailbox.counts()["accepted"] == counts["accepted"]


def test_an_answer_ends_where_it_would_without_drafts(
    verifier: Verifier, mailbox: MailboxClient
) -> None:
    prompt = verifier.tokenize("<|user|>What is 5 plus 6?<|end|><|assistant|>")
    plain = verifier.answer(prompt, temperature=0, max_tokens=64)
    assert plain.finish_reason == "stop"
    session = new_session()
    mailbox.put(session, 0, [*plain.ids, *plain.ids])
    drafted = verifier.answer(prompt, session, temperature=0, max_tokens=64)
    assert (drafted.ids, drafted.finish_reason) == (plain.ids, "stop")


def test_drafts_of_a_session_that_ended_are_dropped(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int]
) -> None:
    session = new_session()
    mailbox.put(session, 0, plain[:5])
    verifier.answer(prompt, session, **GREEDY)
    before = mailbox.counts()
    mailbox.put(session, 0, plain)
    verifier.answer(prompt, new_session(), **GREEDY)
    after = mailbox.counts()
    assert after["ended"] == before["ended"] + len(plain)
    assert after["offered"] == before["offered"]
    assert after["sessions"] == before["sessions"]


def test_a_session_ends_when_its_client_leaves(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int]
) -> None:
    session = new_session()
    verifier.leave(prompt, session, temperature=0, max_tokens=1500, ignore_eos=True)

    def ended() -> bool:
        before = mailbox.counts()["ended"]
        mailbox.put(session, 0, [7])
        verifier.answer(prompt, temperature=0, max_tokens=1)
        return mailbox.counts()["ended"] > before

    eventually(ended, "the session is over")
    assert mailbox.counts()["failures"] == 0


def test_a_wrong_secret_is_refused(verifier: Verifier, mailbox: MailboxClient) -> None:
    before = mailbox.counts()["denied"]
    with pytest.raises(ConnectionError):
        MailboxClient(verifier.mailbox, "another secret than that")
    assert mailbox.counts()["denied"] == before + 1


def test_ids_beyond_the_vocabulary_are_refused(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], plain: list[int]
) -> None:
    session, before = new_session(), mailbox.counts()
    mailbox.put(session, 1, [*plain[1:4], mailbox.greeting["vocabulary"]])
    mailbox.send(wire.framed(["short", 0, [1]]))
    assert verifier.answer(prompt, session, **GREEDY).ids == plain
    after = mailbox.counts()
    assert after["foreign"] == before["foreign"] + 4
    assert after["refused"] == before["refused"] + 1
    assert after["received"] == before["received"]


@pytest.mark.parametrize(
    "sampling", [{"temperature": 1.0, "top_p": 0.9}, {"temperature": 0.8, "top_k": 8}]
)
def test_sampled_answers_have_the_distribution_of_those_without_drafts(
    verifier: Verifier, mailbox: MailboxClient, prompt: list[int], sampling: dict[str, float]
) -> None:
    likely = verifier.answer(prompt, **GREEDY).ids

    def sample(seed: int, session: str | None) -> tuple[int, ...]:
        given: dict[str, Any] = {**sampling, "seed": seed, "max_tokens": 4, "ignore_eos": True}
        return tuple(verifier.answer(prompt, session, **given).ids[1:3])

    sessions = [new_session() for _ in range(SAMPLES)]
    before = mailbox.counts()
    for session in sessions:
        # After whatever the first token will be, for nothing is known of the text before.
        mailbox.send(wire.framed([session, 1, likely[1:3], []]))
    mailbox.counts()  # It has taken them all.
    with ThreadPoolExecutor(AT_ONCE["verifier"]) as threads:
        drafted = list(threads.map(sample, range(SAMPLES), sessions))
        plain = list(threads.map(sample, range(SAMPLES, 2 * SAMPLES), [None] * SAMPLES))
    after = mailbox.counts()
    offered = after["offered"] - before["offered"]
    if verifier.greedy_only:
        assert offered == 0
    else:
        assert offered == 2 * SAMPLES
        assert 0 < after["accepted"] - before["accepted"] < 2 * SAMPLES
    for length in (1, 2):
        p_value = same_distribution(
            [ids[:length] for ids in drafted], [ids[:length] for ids in plain]
        )
        assert p_value > ALPHA, f"{p_value=:.2g}"
