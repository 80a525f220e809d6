"""What measures for minutes, in its short form: it ends well, and its last line is the page's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.documents.blocks import Example, shown
from tests.documents.outputs import shape_differences, unknown_fields
from tests.engines import engine_python
from tests.examples import parts
from tests.examples.machine import Machine
from tests.examples.stack import up

pytestmark = pytest.mark.integration
PATIENCE_S = 1800.0
"""Beside whatever else the machine does; the pages say what each takes by itself."""
CARD = " --write-card"
FEW = {
    "evaluate": "--examples 60",
    "evaluate-specialists": "--examples 120",
    "evaluate-aggregator": "--examples 60",
    "evaluate-first": "--tuning",
}
"""Of the questions that an evaluation asks, as few as say something. No card is written: it would
be of these."""
LAST_LINES = {
    "QUICK=1 make bench-collective": ("docs/benchmarks.md", '{"best_member"'),
    "QUICK=1 make chaos": ("docs/reliability.md", '{"streams": …'),
}


def each_once() -> Sequence[Example]:
    """Pages repeat them; what is typed counts."""
    return list({typed(example): example for example in parts.played(parts.MEASUREMENTS)}.values())


def typed(example: Example) -> str:
    return example.text.partition("#")[0].strip().removesuffix(CARD)


@pytest.mark.parametrize("example", each_once(), ids=typed)
def test_it_measures_and_says_what_the_page_shows(
    example: Example, tmp_path_factory: pytest.TempPathFactory
) -> None:
    machine = Machine(tmp_path_factory.mktemp("measurement"))
    reader = machine.reader(engine_python())
    reader.patience_s = PATIENCE_S
    with ExitStack() as stack:
        if example.text == "make load":
            stack.enter_context(up(machine, reader, "make up"))
        few = FEW.get(typed(example).rpartition(" ")[2], "")
        printed = reader.run(replace(example, text=f"{typed(example)} {few}"))
    print(printed)
    if example.text.startswith("QUICK=1"):
        assert_last_line(typed(example), json.loads(printed.strip().splitlines()[-1]))


def assert_last_line(command: str, last: object) -> None:
    """Has the fields that the page shows, where it shows some."""
    assert isinstance(last, dict) and last
    if command in LAST_LINES:
        page = json.loads(shown(*LAST_LINES[command]).strip().splitlines()[0].replace("…", "0"))
        assert shape_differences(page, last) == []
        assert unknown_fields(page, last) == []
