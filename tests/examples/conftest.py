"""The stack that README's first command starts, and the skip of everything here elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.blocks import shown
from tests.documents.outputs import compared
from tests.examples.machine import Machine
from tests.examples.stack import up

HERE = Path(__file__).parent
SWITCH = "TIERFLOW_EXAMPLE_TESTS"
FURTHER_SETTINGS = {
    "TIERFLOW_GATEWAY_KEYS__FILE": "keys.yaml",
    "TIERFLOW_GATEWAY_KEYS__REQUIRED": "false",
}
"""Of the gateway, for the page on keys: it is to keep some, and to ask for none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get(SWITCH):
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="`make test-examples` runs it"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which README's `make up` has been typed; in the end, its `make down`."""
    folder = tmp_path_factory.mktemp("reader")
    settings = {**FURTHER_SETTINGS, "TIERFLOW_GATEWAY_KEYS__FILE": str(folder / "keys.yaml")}
    machine = Machine(folder, settings)
    with up(machine, machine.reader(), "make up") as printed:
        compared(shown("README.md", "starting edge"), printed.replace(str(folder), "~"))
        yield machine
