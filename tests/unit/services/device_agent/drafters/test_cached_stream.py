import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.device_agent.drafters.cached_stream import best_two

rows = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=30).map(
    lambda values: np.array(values, np.float32)
)


@given(rows)
def test_the_best_two_are_the_likeliest(row: np.ndarray) -> None:
    guess = best_two(row)
    order = np.sort(row)[::-1]
    assert guess.token != guess.second
    assert (row[guess.token], row[guess.second]) == (order[0], order[1])
    weights = np.exp(row.astype(float) - float(order[0]))
    assert guess.probability == pytest.approx(1 / weights.sum(), rel=1e-4)
