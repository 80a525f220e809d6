"""A real canned engine, for what speaks HTTP."""

import os
from collections.abc import Iterator

import pytest

from loadtest.measure.processes import Process, Processes
from loadtest.measure.servers import start_canned_engine


@pytest.fixture(scope="session")
def canned_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Processes(tmp_path_factory.mktemp("canned")) as processes:
        yield start_canned_engine(processes, cores=os.sched_getaffinity(0), interval_ms=1.0)
