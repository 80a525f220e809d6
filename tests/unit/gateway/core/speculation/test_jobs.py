from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.job import LARGEST_SEED, sampling_of_rest

SEEDS = st.integers(-LARGEST_SEED - 1, LARGEST_SEED)


def test_the_rest_of_an_answer_has_the_rest_of_its_tokens() -> None:
    sampling = {"max_tokens": 9, "temperature": 0.5, "stop": ["x"]}
    assert sampling_of_rest(sampling, 4) == {**sampling, "max_tokens": 5}
    assert sampling_of_rest(sampling, 9)["max_tokens"] == 0
    assert sampling_of_rest({"temperature": 0.5}, 4) == {"temperature": 0.5}


@given(SEEDS, st.integers(1, 10**6))
def test_a_seed_moves_on_and_stays_one_that_engines_take(seed: int, tokens: int) -> None:
    moved = sampling_of_rest({"seed": seed}, tokens)["seed"]
    assert moved != seed and -LARGEST_SEED - 1 <= moved <= LARGEST_SEED


def test_an_answer_from_its_beginning_has_the_sampling_as_it_is() -> None:
    sampling = {"max_tokens": 9, "seed": 3}
    assert sampling_of_rest(sampling, 0) == sampling
