"""Who runs on which cores: what is measured must not share its core with the load on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of what is measured, and those of everything else."""

    measured: Set[int]
    others: Set[int]

    @classmethod
    def split(cls, available: Set[int]) -> Cores:
        """The last core is for what is measured; a single one has to do for all."""
        last = max(available)
        return cls(frozenset({last}), frozenset(available - {last}) or frozenset({last}))


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """This process, and what it starts meanwhile, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
