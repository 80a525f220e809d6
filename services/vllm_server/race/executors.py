"""Spares each step a call to the workers that could bring nothing.

With a speculative configuration vLLM's engine asks the workers after every step for what they
proposed: 5 % of a small model's step. Ours propose nothing (`race.proposer`); the scheduler
itself brings the drafts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm.v1.executor.abstract import Executor


def spare_the_call_for_proposals() -> None:
    """For every executor that is loaded, which the engine's own is before its scheduler is made."""
    for kind in _kinds(Executor):
        if "take_draft_token_ids" in vars(kind):
            kind.take_draft_token_ids = _nothing


def _nothing(executor: Executor) -> None:
    """No proposals."""


def _kinds(kind: Any) -> Iterator[Any]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
