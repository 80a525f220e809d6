"""Chains learn from their answers whether the tier in the middle is worth asking, and say so."""

from __future__ import annotations

import pytest

from gateway.core.speculation.job import Job
from tests.unit.gateway.fakes import StoppedClock
from tests.unit.gateway.rig import SharedRig
from tests.unit.gateway.serving.chain.gains import edge_cloud
from tests.unit.gateway.serving.devices.device_rig import until

pytestmark = pytest.mark.anyio

BATCH = [1, 2, 3, 4]


class Answers:
    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.rig = SharedRig(verified={"edge:1": lambda: [None]}, clock=self.clock)
        self.chains = self.rig.shared.chains
        self.wish = edge_cloud()

    def one(self, step_s: dict[bool, float]) -> bool:
        """An answer whose steps take so long with the edge and without. Whether it had it."""
        job = Job(session="0", model="rill-cloud", prompt=[1])
        chain = self.chains.open(self.chains.turn(self.wish), job)
        chain.connect(lambda runs: True, None)
        with_it = bool(chain.per_step is not None)
        for _ in range(5):
            self.clock.time += step_s[with_it]
            chain.decide(BATCH)
        chain.close()
        return with_it

    async def rest(self) -> None:
        """What was asked has given up."""
        await until(lambda: not any(each.in_flight for each in self.rig.states))


async def test_a_tier_that_slows_answers_is_left_out_and_told_of() -> None:
    answers = Answers()
    used = [answers.one({True: 0.02, False: 0.01}) for _ in range(60)]
    assert used[:2] == [True, False], "at first both ways are measured"
    assert sum(used[-20:]) <= 1
    (words,) = answers.chains.conditions().values()
    assert "edge for rill-cloud in edge-cloud (measured gain 0.50)" in words
    assert answers.rig.chains.gains == {"edge": pytest.approx(0.5)}
    assert [report.used for report in answers.rig.chains.reports if not report.used]
    for _ in range(200):
        answers.one({True: 0.004, False: 0.01})
    assert answers.chains.conditions() == {}
    await answers.rest()
