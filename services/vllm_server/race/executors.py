"""Leaves out a call to the workers after each step, which could bring nothing.

With a speculative configuration vLLM's engine asks the workers after every step for what they
proposed: 5 % of a small model's step. Ours propose nothing (`race.proposer`); the scheduler
itself brings the drafts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm.v1.executor.abstract import Executor


def skip_proposal_calls() -> None:
    """In all classes of executors; the engine's own is loaded before its scheduler is made."""
    for executor in _classes(Executor):
        if "take_draft_token_ids" in vars(executor):
            executor.take_draft_token_ids = _no_proposals


def _no_proposals(executor: Executor) -> None:
    """In place of the call to the workers."""


def _classes(base: Any) -> Iterator[Any]:
    yield base
    for subclass in base.__subclasses__():
        yield from _classes(subclass)
