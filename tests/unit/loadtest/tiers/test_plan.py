import pytest

from loadtest.tiers.plan import FULL, LONG, QUICK, SPOILED, TiersPlan
from loadtest.tiers.ways import ACCEPTANCES, MODELS, NATURAL, verifier_of


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_every_way_of_a_cell_has_its_verifier_beside_it(plan: TiersPlan) -> None:
    for phase in plan.phases:
        for cell in phase.cells:
            for way in cell.ways:
                verifier = verifier_of(way)
                assert verifier is None or verifier in cell.ways, f"{cell.name}: {way.label}"


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_every_way_can_be_asked(plan: TiersPlan) -> None:
    for phase in plan.phases:
        assert phase.drafters[0] == NATURAL
        assert all(way.name in MODELS for way in phase.ways)
        assert {way.drafter for way in phase.ways} <= {"", NATURAL, *ACCEPTANCES}


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_the_figures_of_real_steps_are_measured(plan: TiersPlan) -> None:
    cells = {(cell.kind, cell.round_trip_ms) for cell in plan.phases[0].cells}
    assert {(LONG, 0), (LONG, 20), (LONG, 50)} <= cells
    assert not plan.phases[0].steps_ms


def test_spoiled_drafts_are_measured_at_emulated_steps() -> None:
    emulated = next(phase for phase in FULL.phases if phase.steps_ms)
    assert {50, 100} == {c.round_trip_ms for c in emulated.cells if c.kind == SPOILED}


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_the_edges_engine_answers_in_a_cell_either_alone_or_beside_the_clouds(
    plan: TiersPlan,
) -> None:
    for phase in plan.phases:
        for cell in phase.cells:
            names = {way.name for way in cell.ways}
            assert not (names & {"device-edge"} and names & {"device-edge-cloud", "edge-cloud"})
