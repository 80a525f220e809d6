"""Which requests are given drafts, and when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.vllm_server.race.eligibility import blocks, decodes, may_draft, session_of


def request(**parameters: Any) -> Any:
    """A request as vLLM keeps it, of which 3 tokens are said."""
    usual: dict[str, Any] = {
        "extra_args": {"draft_session": "0123456789abcdef"},
        "min_p": 0.0,
        "logit_bias": None,
        "prompt_logprobs": None,
        "logprob_token_ids": None,
        "thinking_token_budget": None,
        "min_tokens": 0,
    }
    return SimpleNamespace(
        sampling_params=SimpleNamespace(**(usual | parameters)),
        resumable=False,
        num_output_placeholders=0,
        num_computed_tokens=12,
        num_tokens=13,
        num_output_tokens=3,
    )


def test_an_ordinary_request_is_given_drafts() -> None:
    assert may_draft(request())
    assert not blocks(request())
    assert session_of(request()) == "0123456789abcdef"


@pytest.mark.parametrize(
    "parameters",
    [
        {"min_p": 0.1},
        {"logit_bias": {5: 1.0}},
        {"prompt_logprobs": 0},
        {"logprob_token_ids": [5]},
        {"thinking_token_budget": 0},
    ],
)
def test_what_vllm_can_not_verify_is_given_none(parameters: dict[str, Any]) -> None:
    assert not may_draft(request(**parameters))


@pytest.mark.parametrize("parameters", [{"logprob_token_ids": [5]}, {"thinking_token_budget": 9}])
def test_what_is_lost_beside_drafts_keeps_them_out_of_the_step(parameters: dict[str, Any]) -> None:
    assert blocks(request(**parameters))


@pytest.mark.parametrize("extra", [None, {}, {"draft_session": 5}, {"draft_session": "short"}])
def test_what_names_no_session_has_none(extra: dict[str, Any] | None) -> None:
    assert session_of(request(extra_args=extra)) is None
    pooling = request()
    pooling.sampling_params = None
    assert session_of(pooling) is None


def test_drafts_wait_for_the_prompt_and_for_the_least_number_of_tokens() -> None:
    assert decodes(request())
    assert decodes(request(min_tokens=3))
    assert not decodes(request(min_tokens=4))
    prefills = request()
    prefills.num_computed_tokens = 5
    assert not decodes(prefills)
