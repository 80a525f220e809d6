from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.engines.vllm_page import EngineLoad, mean_since, parse_load

PAGE = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="rill-edge"} 3.0
vllm:num_requests_running{engine="1",model_name="rill-edge"} 2.0
vllm:num_requests_waiting{engine="0",model_name="rill-edge"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="rill-edge"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="rill-edge"} 0.5
vllm:prompt_tokens_total{engine="0",model_name="rill-edge"} 120.0
vllm:inter_token_latency_seconds_sum{engine="0",model_name="rill-edge"} 1.5
vllm:inter_token_latency_seconds_count{engine="0",model_name="rill-edge"} 100.0
vllm:inter_token_latency_seconds_bucket{engine="0",le="0.01",model_name="rill-edge"} 50.0
vllm:num_requests_running_elsewhere{engine="0"} 9.0
"""


def test_the_load_is_summed_over_an_engines_ranks() -> None:
    load = parse_load(PAGE)
    assert (load.running, load.waiting, load.kv_use) == (5.0, 4.0, 0.5)
    assert (load.prompt_tokens, load.decode_s, load.decodes) == (120.0, 1.5, 100.0)


@given(st.binary())
def test_any_page_can_be_read(page: bytes) -> None:
    assert isinstance(parse_load(page), EngineLoad)


@pytest.mark.parametrize("value", [b"NaN", b"what", b""])
def test_a_value_that_is_no_number_counts_as_zero(value: bytes) -> None:
    assert parse_load(b"vllm:num_requests_running " + value + b"\n").running == 0.0


def test_a_mean_is_that_of_the_time_between_two_readings() -> None:
    assert mean_since(10.0, 5.0, 4.0, 2.0) == 2.0
    assert mean_since(4.0, 2.0, 4.0, 2.0) is None


def test_a_restarted_engine_starts_a_new_mean() -> None:
    assert mean_since(3.0, 1.0, 100.0, 50.0) == 3.0
