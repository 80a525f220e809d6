from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from services.engine_simulator.engine.decoding import Limits, Token, decode_tokens
from services.engine_simulator.engine.language_model import Context, generate
from services.engine_simulator.engine.tokenizer import decode, encode
from services.engine_simulator.engine.vocabulary import END_ID
from tests.unit.services.engine_simulator.asgi_client import ask, chat, simulator

APP = simulator("--unpaced")


def tokens_of(prompt: str, limits: Limits) -> list[Token]:
    context = Context(model="m", prompt=encode(prompt))
    return list(decode_tokens(generate(context, limits.min_tokens, limits.ignore_end), limits))


@given(st.text(max_size=30), st.integers(1, 60))
def test_no_more_than_max_tokens_come_and_only_the_last_has_a_reason(
    prompt: str, max_tokens: int
) -> None:
    tokens = tokens_of(prompt, Limits(max_tokens=max_tokens))
    assert 1 <= len(tokens) <= max_tokens
    assert [token.finish_reason for token in tokens[:-1]] == [None] * (len(tokens) - 1)
    expected = "stop" if tokens[-1].id == END_ID else "length"
    assert tokens[-1].finish_reason == expected


@given(st.text(max_size=30), st.integers(1, 40))
def test_ignoring_the_end_gives_exactly_max_tokens(prompt: str, max_tokens: int) -> None:
    tokens = tokens_of(prompt, Limits(max_tokens=max_tokens, ignore_end=True))
    assert len(tokens) == max_tokens
    assert END_ID not in [token.id for token in tokens]


@given(st.text(max_size=30), st.integers(1, 40))
def test_min_tokens_puts_the_end_off(prompt: str, min_tokens: int) -> None:
    assert len(tokens_of(prompt, Limits(max_tokens=80, min_tokens=min_tokens))) >= min_tokens


@given(st.text(max_size=10), st.integers(1, 12), st.integers(1, 6))
def test_text_ends_before_the_first_stop_string(prompt: str, start: int, length: int) -> None:
    free = "".join(token.text for token in tokens_of(prompt, Limits(max_tokens=30)))
    stop = free[start : start + length]
    if not stop:
        return
    stopped = tokens_of(prompt, Limits(max_tokens=30, stop=(stop,)))
    text = "".join(token.text for token in stopped)
    assert text == free[: free.find(stop)]
    assert (stopped[-1].finish_reason, stopped[-1].stop_reason) == ("stop", stop)


@given(st.text(max_size=10))
def test_a_kept_stop_string_ends_the_text(prompt: str) -> None:
    tokens = tokens_of(prompt, Limits(max_tokens=60, stop=(" ",), keep_stop=True, ignore_end=True))
    assert "".join(token.text for token in tokens).endswith(" ")


@given(st.text(max_size=10), st.text(min_size=1, max_size=8))
def test_a_stop_string_that_never_comes_loses_no_text(prompt: str, stop: str) -> None:
    free = "".join(token.text for token in tokens_of(prompt, Limits(max_tokens=30)))
    if stop in free:
        return
    held = tokens_of(prompt, Limits(max_tokens=30, stop=(stop,)))
    assert "".join(token.text for token in held) == free


def test_a_stop_token_ends_the_answer_and_is_named() -> None:
    third = tokens_of("x", Limits(max_tokens=30, ignore_end=True))[2].id
    tokens = tokens_of(
        "x", Limits(max_tokens=30, stop_token_ids=frozenset({third}), ignore_end=True)
    )
    assert tokens[-1].stop_reason == third
    assert len(tokens) <= 3


def test_answers_end_by_themselves() -> None:
    lengths = [len(tokens_of(f"question {i}", Limits(max_tokens=2000))) for i in range(50)]
    assert max(lengths) < 2000
    assert min(lengths) < 40


@given(st.integers(1, 30), st.booleans())
def test_usage_counts_every_generated_token(max_tokens: int, newer_name: bool) -> None:
    field = "max_completion_tokens" if newer_name else "max_tokens"
    body = chat("count", **{field: max_tokens}, n=3, return_token_ids=True)
    answer = ask(APP, "/v1/chat/completions", body).json()
    generated = [len(choice["token_ids"]) for choice in answer["choices"]]
    assert max(generated) <= max_tokens
    assert answer["usage"]["completion_tokens"] == sum(generated)


def test_an_open_answer_fills_the_context_at_most() -> None:
    app = simulator("--unpaced", "--max-model-len", "64")
    answer = ask(app, "/v1/chat/completions", chat("hi", ignore_eos=True)).json()
    assert answer["usage"]["total_tokens"] == 64
    assert answer["choices"][0]["finish_reason"] == "length"


def test_generated_text_reads_as_words() -> None:
    context = Context(model="m", prompt=encode("hello"))
    text = decode(token_id for token_id, _ in islice(generate(context, 0, True), 200))
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ. ")
    assert text.count(". ") > 5
