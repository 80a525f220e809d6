"""Makes vLLM ready to verify drafts without proposing any: the scheduler brings them."""

from __future__ import annotations

from typing import Any


class NoProposer:
    """For `{"method": "custom_class"}` of vLLM's speculative configuration."""

    def __init__(self, vllm_config: Any) -> None:
        del vllm_config

    def propose(self, sampled_token_ids: list[list[int]], *arguments: Any, **named: Any) -> Any:
        return [[] for _ in sampled_token_ids]

    def load_model(self, *arguments: Any, **named: Any) -> None:
        """There is none."""

    def dummy_run(self, *arguments: Any, **named: Any) -> None:
        """Nothing to warm up."""
