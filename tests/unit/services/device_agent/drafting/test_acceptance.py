from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.drafting.acceptance import MEMORY, PRIOR_SECOND, Acceptance, DecayingRate


@given(st.lists(st.booleans(), max_size=300), st.floats(0, 1))
def test_a_share_stays_between_0_and_1(seen: list[bool], prior: float) -> None:
    share = DecayingRate(prior)
    for yes in seen:
        share.learn(yes)
        assert 0 <= share.value <= 1


@given(st.floats(0, 1))
def test_a_share_forgets_and_follows(prior: float) -> None:
    share = DecayingRate(prior)
    for _ in range(int(6 * MEMORY)):
        share.learn(True)
    assert share.value > 0.99
    for _ in range(int(6 * MEMORY)):
        share.learn(False)
    assert share.value < 0.01
    assert share._all <= MEMORY + 1


def test_before_anything_is_seen_a_guess_is_as_right_as_it_is_sure() -> None:
    acceptance = Acceptance()
    of = [acceptance.of(probability) for probability in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0)]
    assert of == sorted(of)
    assert acceptance.second == PRIOR_SECOND


def test_degrees_of_confidence_are_learned_apart() -> None:
    acceptance = Acceptance()
    sure, unsure = acceptance.of(0.98), acceptance.of(0.4)
    for _ in range(50):
        acceptance.learn(0.98, False)
    assert acceptance.of(0.98) < 0.1 < sure
    assert acceptance.of(0.4) == unsure
    assert acceptance.overall.value < 0.55
    for _ in range(400):
        acceptance.learn(0.98, False)
    assert acceptance.overall.value < 0.15


def test_second_guesses_are_learned_for_themselves() -> None:
    acceptance = Acceptance()
    overall = acceptance.overall.value
    for _ in range(50):
        acceptance.learn_second(True)
    assert acceptance.second > 0.9
    assert acceptance.overall.value == overall
