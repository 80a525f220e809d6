"""The textbook's algorithm says exactly what its target would: computed, not sampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference_verifier.textbook import (
    Distribution,
    acceptance,
    adjusted,
    draw,
    one_hot,
    residual,
    verify,
)

SIZE = 4
WEIGHTS = st.lists(st.integers(0, 20), min_size=SIZE, max_size=SIZE).filter(any)
DISTRIBUTION = WEIGHTS.map(lambda weights: np.array(weights) / sum(weights))


def outcome(p: Distribution, q: Distribution) -> Distribution:
    """The distribution of the first token said, when the draft is drawn from q: [V]."""
    said = np.zeros(SIZE)
    for token, probability in enumerate(q):
        accepted = acceptance(p, q, token)
        said += probability * accepted * one_hot(token, SIZE)
        said += probability * (1 - accepted) * residual(p, q, token)
    return said


@given(DISTRIBUTION, DISTRIBUTION)
def test_the_token_said_has_the_distribution_of_the_target(
    p: Distribution, q: Distribution
) -> None:
    assert outcome(p, q) == pytest.approx(p)


@given(DISTRIBUTION, st.integers(0, SIZE - 1))
def test_the_drafter_s_argmax_leaves_the_distribution_alone_too(
    p: Distribution, token: int
) -> None:
    accepted = acceptance(p, None, token)
    said = accepted * one_hot(token, SIZE) + (1 - accepted) * residual(p, None, token)
    assert accepted == pytest.approx(p[token])
    assert said == pytest.approx(p)


@given(DISTRIBUTION, DISTRIBUTION)
def test_acceptance_is_what_the_two_have_in_common(p: Distribution, q: Distribution) -> None:
    """Leviathan et al., corollary 3.6: the sum of min(p, q)."""
    overall = sum(q[token] * acceptance(p, q, token) for token in range(SIZE))
    assert overall == pytest.approx(np.minimum(p, q).sum())


STEP = st.integers(0, 3).flatmap(
    lambda drafts: st.tuples(
        st.lists(DISTRIBUTION, min_size=drafts + 1, max_size=drafts + 1),
        st.lists(st.integers(0, SIZE - 1), min_size=drafts, max_size=drafts),
        st.lists(
            st.floats(0, 1, exclude_max=True), min_size=2 * drafts + 1, max_size=2 * drafts + 1
        ),
    )
)


@given(STEP)
def test_a_step_says_what_it_accepts_and_one_token_of_the_target(
    step: tuple[list[Distribution], list[int], list[float]],
) -> None:
    targets, drafts, uniforms = step
    said = verify(targets, [None] * len(drafts), drafts, uniforms)
    assert said[:-1] == drafts[: len(said) - 1]
    assert all(targets[at][token] > 0 for at, token in enumerate(said))
    if len(said) <= len(drafts):
        assert said[-1] != drafts[len(said) - 1]


def test_greedy_accepts_what_is_likeliest_and_nothing_else() -> None:
    target = adjusted(np.array([0.0, 3.0, 1.0, 2.0]), 0)
    assert verify([target] * 3, [None] * 2, [1, 1], [0.99] * 5) == [1, 1, 1]
    assert verify([target] * 3, [None] * 2, [1, 2], [0.0] * 5) == [1, 1]
    assert verify([target] * 3, [None] * 2, [2, 1], [0.0] * 5) == [1]


@given(st.lists(st.floats(-20, 20), min_size=SIZE, max_size=SIZE), st.floats(0.1, 2))
def test_temperature_alone_is_the_softmax(logits: list[float], temperature: float) -> None:
    scaled = np.exp(np.array(logits) / temperature - max(logits) / temperature)
    assert adjusted(np.array(logits), temperature) == pytest.approx(scaled / scaled.sum())


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (-1, 1.0, [0, 1, 2, 3]),
        (2, 1.0, [1, 3]),
        (0, 0.85, [0, 1, 3]),
        (0, 0.5, [1]),
        (0, 0.0001, [1]),
        (3, 0.65, [1, 3]),
        (2, 0.6, [1]),
    ],
)
def test_top_k_comes_before_top_p(top_k: int, top_p: float, kept: list[int]) -> None:
    """Of 0.1, 0.55, 0.1 - a bit, 0.25: top-p counts what top-k has left as the whole."""
    p = np.array([0.101, 0.55, 0.099, 0.25])
    cut = adjusted(np.log(p), 1.0, top_k, top_p)
    assert np.flatnonzero(cut).tolist() == kept
    assert cut[kept] == pytest.approx(p[kept] / p[kept].sum())


def test_what_is_as_likely_as_the_kth_stays() -> None:
    cut = adjusted(np.array([1.0, 2.0, 1.0, 0.0]), 1.0, top_k=2)
    assert np.flatnonzero(cut).tolist() == [0, 1, 2]


@given(DISTRIBUTION, st.floats(0, 1, exclude_max=True))
def test_nothing_impossible_is_drawn(p: Distribution, uniform: float) -> None:
    assert p[draw(p, uniform)] > 0
