from hypothesis import given
from hypothesis import strategies as st

from gateway.core import backoff as gateway_backoff
from services.device_agent.link.backoff import pause_s


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [pause_s(failures, 1.0, first_s=0.2, longest_s=15.0) for failures in range(1, 10)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_agents_pauses_are_those_of_the_gateway(failures: int, uniform: float) -> None:
    pause = pause_s(failures, uniform, first_s=0.2, longest_s=15.0)
    assert pause == gateway_backoff.pause_s(failures, uniform, first_s=0.2, longest_s=15.0)
