"""The engines of the measurement: the cloud's model three times, of which one runs at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.capacity.load import LoadTarget
from loadtest.capacity.plan import LIMIT, PLAIN
from loadtest.measure.command import Progress
from loadtest.measure.processes import HOST, Cores, Process, Processes, free_port
from loadtest.measure.servers import (
    one_core_arguments,
    start_vllm,
    step_wait,
    wait_for_engine,
)


class CapacityEngines:
    """An engine for each way to choose drafts, all on the cores beside this client's.

    vLLM's processes look for work without pause for a second after each request: all but the
    measured engine are stopped meanwhile.
    """

    def __init__(
        self, processes: Processes, engines: Mapping[str, tuple[Process, LoadTarget]]
    ) -> None:
        self._processes = processes
        self._engines = engines

    @classmethod
    def start(
        cls,
        processes: Processes,
        python: str,
        model: Path,
        *,
        cores: Cores,
        choices: Sequence[str],
        step_ms: float,
        progress: Progress,
    ) -> CapacityEngines:
        """All engines, ready. Raises BenchmarkFailure."""
        engines = {
            choice: _start(processes, python, model, choice, cores=cores, step_ms=step_ms)
            for choice in choices
        }
        for engine, _ in engines.values():
            wait_for_engine(engine, cores.others, progress)
        return cls(processes, engines)

    @contextmanager
    def alone(self, choice: str) -> Iterator[LoadTarget]:
        """The engine that works so, while the others are stopped."""
        engine, target = self._engines[choice]
        others = [other for other, _ in self._engines.values() if other is not engine]
        for other in others:
            other.pause()
        try:
            yield target
        finally:
            for other in others:
                other.resume()

    def stop(self) -> None:
        for engine, _ in self._engines.values():
            self._processes.stop(engine)


def _start(
    processes: Processes, python: str, model: Path, choice: str, *, cores: Cores, step_ms: float
) -> tuple[Process, LoadTarget]:
    mailbox, secret = f"{HOST}:{free_port()}", secrets.token_hex(16)
    drafts, variables = ["--draft-mailbox", mailbox, "--draft-choice", choice], step_wait(step_ms)
    if choice == PLAIN:
        mailbox, drafts = "", []
    else:
        variables |= {"TIERFLOW_DRAFT_SECRET": secret}
    name = f"{model.name}-{choice.replace(' ', '-')}-{step_ms:g}"
    sessions = ("--", "--max-num-seqs", str(LIMIT))
    engine = start_vllm(
        processes,
        python,
        model,
        cores=cores.all,
        arguments=(*one_core_arguments(cores), *drafts, *sessions),
        environment=variables,
        name=name,
    )
    return engine, LoadTarget(model=name, target=engine.target, mailbox=mailbox, secret=secret)
