"""The length of a step, worked out without waiting for it."""

from hypothesis import given
from hypothesis import strategies as st

from services.engine_simulator.engine.metrics import EngineMetrics
from services.engine_simulator.engine.prefix_cache import PrefixCache
from services.engine_simulator.engine.scheduler import step_seconds
from services.engine_simulator.settings import Rates

counts = st.integers(0, 500)


@given(counts, counts)
def test_a_step_lasts_longer_the_more_it_does(prefilled: int, decoding: int) -> None:
    rates = Rates(prefill_tokens_per_s=1000, decode_tokens_per_s=50, batch_slowdown=0.1)
    assert step_seconds(rates, prefilled + 1, decoding) > step_seconds(rates, prefilled, decoding)
    assert step_seconds(rates, prefilled, decoding + 1) > step_seconds(rates, prefilled, decoding)


def test_rates_mean_what_they_say_for_one_request_alone() -> None:
    rates = Rates(prefill_tokens_per_s=1000, decode_tokens_per_s=50)
    assert step_seconds(rates, 500, 0) == 0.5
    assert step_seconds(rates, 0, 1) == 0.02


@given(st.integers(1, 64))
def test_a_full_batch_yields_more_tokens_per_second_than_one_request(running: int) -> None:
    rates = Rates(batch_slowdown=0.02)
    alone = 1 / step_seconds(rates, 0, 1)
    assert running / step_seconds(rates, 0, running) >= alone


prompts = st.lists(st.integers(0, 3), min_size=1, max_size=80)


@given(prompts)
def test_a_seen_prompt_is_cached_up_to_its_last_token(prompt: list[int]) -> None:
    cache = PrefixCache(1024, block_size=4)
    assert cache.admit(prompt) == 0
    hit = cache.admit(prompt)
    assert len(prompt) - 4 <= hit < len(prompt)


@given(prompts, prompts)
def test_only_a_shared_head_counts(first: list[int], second: list[int]) -> None:
    cache = PrefixCache(1024, block_size=4)
    cache.admit(first)
    hit = cache.admit(second)
    assert first[:hit] == second[:hit]
    assert hit % 4 == 0


@given(st.lists(prompts, max_size=30))
def test_the_cache_keeps_to_its_capacity(several: list[list[int]]) -> None:
    cache = PrefixCache(32, block_size=4)
    for prompt in several:
        cache.admit(prompt)
    assert len(cache) <= 8


def test_token_buckets_reach_up_to_the_context() -> None:
    rendered = EngineMetrics("m", 300, 0).render().decode()
    assert 'vllm:request_prompt_tokens_bucket{engine="0",le="200.0"' in rendered
    assert 'vllm:request_prompt_tokens_bucket{engine="0",le="500.0"' not in rendered
