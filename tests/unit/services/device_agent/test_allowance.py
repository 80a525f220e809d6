from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.drafting.allowance import LONGEST_S, SHARE, Allowance


@given(st.floats(1, 5000), st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 64)), max_size=200))
def test_no_more_is_sent_than_is_taken(per_s: float, sends: list[tuple[float, int]]) -> None:
    allowance, now, sent, most = Allowance(per_s, 0.0), 0.0, 0, 0
    for pause, tokens in sends:
        now += pause
        if allowance.has(now):
            allowance.spend(tokens)
            sent, most = sent + tokens, max(most, tokens)
        assert sent <= SHARE * per_s * (now + LONGEST_S) + most + 1e-6


@given(st.lists(st.integers(1, 64)))
def test_without_a_limit_there_is_none(sends: list[int]) -> None:
    allowance = Allowance(0.0, 0.0)
    for tokens in sends:
        allowance.spend(tokens)
        assert allowance.has(0.0)


def test_what_was_spent_comes_back() -> None:
    allowance = Allowance(100, 0.0)
    allowance.spend(1000)
    assert not allowance.has(1.0)
    assert allowance.has(20.0)
