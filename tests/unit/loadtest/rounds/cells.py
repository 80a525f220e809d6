"""Results of cells, as a run gives them."""

from __future__ import annotations

from loadtest.rounds.measurement import CONTROL, CellResult
from loadtest.rounds.plan import QUICK
from loadtest.rounds.testbed import ALWAYS, AUTO


def cells() -> list[CellResult]:
    """Rounds are twice as fast as the stream where drafts are right, half as fast where not."""
    results = []
    for step_ms in QUICK.steps_ms:
        for cell in QUICK.cells():
            pays = cell.acceptance > 0.9
            plain_s = 0.001 * (step_ms or 6)
            always_s = plain_s / 2 if pays else 2 * plain_s
            pairs = {
                ALWAYS: [(plain_s, always_s)] * 3,
                AUTO: [(plain_s, min(plain_s, always_s))] * 3,
                CONTROL: [(plain_s, plain_s)] * 3,
            }
            results.append(
                CellResult(
                    cell=cell, step_ms=step_ms, pairs=pairs, from_rounds=0.9 if pays else 0.0
                )
            )
    return results
