"""A proposer that proposes nothing: vLLM verifies the drafts that the scheduler brings."""

from __future__ import annotations

from typing import Any


class NoProposer:
    """The `custom_class` of vLLM's speculative configuration, which makes it ready to verify."""

    def __init__(self, vllm_config: Any) -> None:
        del vllm_config

    def propose(self, sampled_token_ids: list[list[int]], *arguments: Any, **named: Any) -> Any:
        return [[] for _ in sampled_token_ids]

    def load_model(self, *arguments: Any, **named: Any) -> None:
        """There is none."""

    def dummy_run(self, *arguments: Any, **named: Any) -> None:
        """Nothing to warm up."""
