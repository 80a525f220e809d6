"""A variable of ours that nothing reads stops the agent, with the one that was meant."""

from __future__ import annotations

import pytest

from services.device_agent.arguments import ArgumentFailure, check, parser

ARGUMENTS = parser().parse_args(["--model", "."])


def test_a_misspelt_variable_stops_the_agent() -> None:
    with pytest.raises(ArgumentFailure) as refused:
        check(ARGUMENTS, {"TIERFLOW_DEVICE_TOKN": "hunter2"})
    assert str(refused.value) == (
        "TIERFLOW_DEVICE_TOKN is no variable of Tierflow; did you mean TIERFLOW_DEVICE_TOKEN?"
    )


def test_variables_of_other_parts_and_of_the_gateway_are_left_to_them() -> None:
    others = {"TIERFLOW_GATEWAY_LOG_LEVEL": "info", "TIERFLOW_EDGE_MODEL": "x", "HOME": "/"}
    check(ARGUMENTS, others)
