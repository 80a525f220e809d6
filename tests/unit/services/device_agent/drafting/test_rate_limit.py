from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.drafting.rate_limit import LONGEST_S, USED_SHARE, DraftRateLimit


@given(st.floats(1, 5000), st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 64)), max_size=200))
def test_no_more_is_sent_than_is_taken(per_s: float, sends: list[tuple[float, int]]) -> None:
    limit, now, sent, most = DraftRateLimit(per_s, 0.0), 0.0, 0, 0
    for pause, tokens in sends:
        now += pause
        if limit.allows(now):
            limit.spend(tokens)
            sent, most = sent + tokens, max(most, tokens)
        assert sent <= USED_SHARE * per_s * (now + LONGEST_S) + most + 1e-6


@given(st.lists(st.integers(1, 64)))
def test_without_a_limit_there_is_none(sends: list[int]) -> None:
    limit = DraftRateLimit(0.0, 0.0)
    for tokens in sends:
        limit.spend(tokens)
        assert limit.allows(0.0)


def test_what_was_spent_comes_back() -> None:
    limit = DraftRateLimit(100, 0.0)
    limit.spend(1000)
    assert not limit.allows(1.0)
    assert limit.allows(20.0)
