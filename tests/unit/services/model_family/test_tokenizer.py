import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from services.model_family.chat import SPECIAL_TOKENS, ask, render
from services.model_family.tokenizer import token_id, train_tokenizer

SMALL = train_tokenizer(400, examples=300)


@settings(max_examples=200)
@given(st.text().filter(lambda text: not any(token in text for token in SPECIAL_TOKENS)))
def test_any_text_survives_the_round_trip(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text).ids) == text


def test_special_tokens_are_single_and_come_first() -> None:
    assert [SMALL.encode(token).ids for token in SPECIAL_TOKENS] == [
        [number] for number in range(len(SPECIAL_TOKENS))
    ]


@given(st.integers(min_value=0))
def test_each_digit_is_a_token(number: int) -> None:
    assert len(SMALL.encode(str(number)).ids) == len(str(number))


def test_training_twice_gives_the_same_tokenizer() -> None:
    assert train_tokenizer(400, examples=300).to_str() == SMALL.to_str()


def test_an_unknown_token_is_named() -> None:
    with pytest.raises(KeyError, match="no token <|nothing|>".replace("|", r"\|")):
        token_id(SMALL, "<|nothing|>")


def test_a_question_ends_where_the_assistant_begins() -> None:
    assert ask("Hi") == "<|bos|><|user|>Hi<|end|><|assistant|>"
    assert isinstance(SMALL, Tokenizer)
    assert SMALL.encode(ask("Hi")).ids[-1] == token_id(SMALL, "<|assistant|>")


def test_other_roles_are_read_as_the_user() -> None:
    assert render([{"role": "tool", "content": "5"}]) == "<|bos|><|user|>5<|end|>"
    assert render([{"role": "system", "content": "x"}]) == "<|bos|><|system|>x<|end|>"
