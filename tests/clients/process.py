"""A client's program as a process of its own environment, which is asked case by case."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Timer

from deploy.local.processes import die_with_parent
from tests.clients.clients import Client
from tests.clients.environments import command, environ
from tests.clients.programs.case import Answer, Case
from tests.servers import CHECKOUT

LONGEST_S = 300
"""For one case; a load generator begins anew at each."""


class ClientProcess:
    """One client, for as many cases as there are. What it prints beside answers is in `log`."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self.log = folder / f"{client.program}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command(client),
                cwd=CHECKOUT,
                env=environ(client, folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )
        self._read()

    def ask(self, case: Case) -> Answer:
        """Raises AssertionError where the client takes too long, or ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(case)).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Answer:
        assert self._process.stdout is not None
        line = self._within(self._process.stdout.readline)
        assert line, f"{self.client.title} ended: {self.log.read_text(errors='replace')[-2000:]}"
        answer: Answer = json.loads(line)
        return answer

    def _within(self, read: Callable[[], bytes]) -> bytes:
        """Ends the process when it takes too long, so that the reader sees an end."""
        timer = Timer(LONGEST_S, self._process.kill)
        timer.start()
        try:
            return read()
        finally:
            timer.cancel()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)
