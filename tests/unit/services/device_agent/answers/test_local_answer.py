import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol.requests.sampling import Sampling
from services.device_agent.answers.local_answer import Sampler, sampler_for
from services.device_agent.text import TextModel
from tests.servers import SHIPPED_FAMILY

rows = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=30).map(
    lambda values: np.array(values, np.float32)
)
DRAWS = 20_000
LOGITS = np.array([2.0, 1.0, 0.5, 0.0, -0.5, -1.5], np.float32)


def expected(temperature: float, top_p: float, top_k: int) -> dict[int, float]:
    """Softmax, cut to the likeliest `top_k`, then to the fewest that reach `top_p`."""
    order = np.argsort(-LOGITS)[: top_k or None]
    weights = np.exp(LOGITS[order].astype(float) / temperature)
    weights /= weights.sum()
    before = np.cumsum(weights) - weights
    kept = weights * (before < top_p)
    return {int(t): float(w) for t, w in zip(order, kept / kept.sum(), strict=True) if w > 0}


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"),
    [(1.0, 1.0, 0), (0.5, 1.0, 0), (2.0, 1.0, -1), (1.0, 0.7, 0), (1.0, 1.0, 3), (1.5, 0.6, 4)],
)
def test_draws_have_the_distribution_of_the_softmax(
    temperature: float, top_p: float, top_k: int
) -> None:
    """Each share within five standard deviations; the support exactly."""
    sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, seed=7)
    counts = Counter(sampler.pick(LOGITS) for _ in range(DRAWS))
    wanted = expected(temperature, top_p, max(top_k, 0))
    assert set(counts) == set(wanted)
    for token, share in wanted.items():
        spread = (share * (1 - share) / DRAWS) ** 0.5
        assert abs(counts[token] / DRAWS - share) <= 5 * spread + 1e-12


@given(rows, st.integers(0, 2**31))
def test_one_token_left_or_no_temperature_is_greedy(row: np.ndarray, seed: int) -> None:
    best = float(row.max())
    for sampler in (
        Sampler(temperature=0.0, seed=seed),
        Sampler(temperature=1.0, top_k=1, seed=seed),
    ):
        assert row[sampler.pick(row)] == best


@settings(max_examples=50)
@given(rows, st.integers(-(2**63), 2**63 - 1))
def test_the_same_seed_gives_the_same_answer(row: np.ndarray, seed: int) -> None:
    one, other = (Sampler(temperature=1.0, top_p=0.9, seed=seed) for _ in range(2))
    assert [one.pick(row) for _ in range(20)] == [other.pick(row) for _ in range(20)]


@pytest.mark.parametrize(
    ("sampling", "temperature", "top_p", "top_k"),
    [
        (Sampling(), 0.6, 0.95, 20),
        (Sampling(temperature=1.0, top_p=1.0, top_k=-1), 1.0, 1.0, -1),
        (Sampling(top_k=5), 0.6, 0.95, 5),
    ],
)
def test_what_a_request_does_not_say_is_as_the_models_folder_says(
    tmp_path: Path, sampling: Sampling, temperature: float, top_p: float, top_k: int
) -> None:
    for name in ("tokenizer.json", "config.json"):
        shutil.copyfile(SHIPPED_FAMILY / "rill-device" / name, tmp_path / name)
    given = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_length": None}
    (tmp_path / "generation_config.json").write_text(json.dumps(given))
    sampler = sampler_for(sampling, TextModel(tmp_path))
    assert sampler is not None
    assert (sampler.temperature, sampler.top_p, sampler.top_k) == (temperature, top_p, top_k)
