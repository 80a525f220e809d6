"""A few hundred inputs for every parser: none does more than be refused."""

from __future__ import annotations

import pytest

from tests.fuzz.findings import Findings
from tests.fuzz.parsers import ParserFuzzer
from tests.fuzz.targets import Target, targets


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_no_input_does_more_than_be_refused(target: Target) -> None:
    findings = Findings()
    ParserFuzzer(target, 0, findings).run(100)
    assert findings.faults == []


def test_a_parser_that_fails_is_found_and_its_input_is_told() -> None:
    def fails_on_nesting(data: bytes) -> None:
        if b"[[" in data:
            raise RecursionError("too deep")

    findings = Findings()
    ParserFuzzer(Target("of the test", fails_on_nesting, [b"{}"]), 0, findings).run(500)
    (fault,) = findings.faults
    assert "RecursionError" in fault.problem and "[[" in fault.input
    assert findings.summary()["crashes"] == 1
