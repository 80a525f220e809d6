"""One cell of the table: every way of answering in turn, in random order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from loadtest.measure.statistics import Spread, median_ratio
from loadtest.rounds.device import DeviceAnswer, ScriptedDevice
from loadtest.rounds.plan import ANSWER_TOKENS, RoundCell, RoundsPlan
from loadtest.rounds.testbed import ALWAYS, AUTO, PLAIN, RoundsTestbed, Way

CONTROL = "never, again"
"""Asked like the stream without drafts: what differs between the two is chance."""
FURTHER_AHEAD = 2
"""Times as many drafts as a round takes stand ready, beyond what the link is behind."""


@dataclass(slots=True, kw_only=True)
class CellResult:
    """What a cell gave: pairs of TPOT in seconds, (plain, the way's), in each repetition.

    `from_rounds` is the share of tokens that the rule's answers got by rounds, `mismatches` counts
    answers that were not the plain one.
    """

    cell: RoundCell
    step_ms: int
    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    from_rounds: float = 0.0
    mismatches: int = 0

    def ratio(self, way: str) -> Spread:
        """Of the plain stream's TPOT to the way's: above 1 the way is faster."""
        return median_ratio(self.pairs[way])

    @property
    def plain_ms(self) -> float:
        """TPOT of the plain stream."""
        return 1e3 * statistics.median(plain for plain, _ in self.pairs[AUTO])


async def measure_cell(
    testbed: RoundsTestbed, plan: RoundsPlan, cell: RoundCell, step_ms: int, prompt: Sequence[int]
) -> CellResult:
    """The link must have its conditions already. Raises BenchmarkFailure."""
    ways = {AUTO: Way(AUTO, cell.most), ALWAYS: Way(ALWAYS, cell.most), PLAIN: Way(PLAIN)}
    result = CellResult(cell=cell, step_ms=step_ms)
    random = Random(cell.name)
    async with AsyncExitStack() as stack:
        devices = {
            mode: await stack.enter_async_context(testbed.device(way)) for mode, way in ways.items()
        }
        first = await _plain(devices[PLAIN], prompt)
        truth = first.ids
        ahead = FURTHER_AHEAD * cell.most + math.ceil(cell.round_trip_ms / 1e3 / first.tpot)

        async def ask(mode: str, seed: str) -> DeviceAnswer:
            if mode in (PLAIN, CONTROL):
                return await _plain(devices[PLAIN], prompt)
            answer = await devices[mode].answer(
                prompt,
                ANSWER_TOKENS,
                truth=truth,
                acceptance=cell.acceptance,
                ahead=ahead,
                seed=seed,
            )
            result.mismatches += answer.ids != truth
            return answer

        for number in range(plan.warm_up):
            for mode in (AUTO, ALWAYS):
                await ask(mode, f"warm-up {number}")
        rounds, accepted = await testbed.rounds_so_far(ways[AUTO])
        for number in range(plan.repetitions):
            modes = [PLAIN, CONTROL, AUTO, ALWAYS]
            random.shuffle(modes)
            tpot = {mode: (await ask(mode, f"{cell.name} {number}")).tpot for mode in modes}
            for mode in (CONTROL, AUTO, ALWAYS):
                result.pairs.setdefault(mode, []).append((tpot[PLAIN], tpot[mode]))
        rounds_now, accepted_now = await testbed.rounds_so_far(ways[AUTO])
    by_rounds = rounds_now - rounds + accepted_now - accepted
    result.from_rounds = by_rounds / (plan.repetitions * ANSWER_TOKENS)
    return result


async def _plain(device: ScriptedDevice, prompt: Sequence[int]) -> DeviceAnswer:
    return await device.answer(prompt, ANSWER_TOKENS)
