"""A shell that stays: what is typed into it may serve until it is interrupted, or in the
background."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

import psutil

from deploy.local.processes import die_with_parent
from tests.documents.blocks import BrokenExample
from tests.servers import eventually

PATIENCE_S = 600.0
POLL_S = 0.1
_ENDED = "the shell has come back with"


class Terminal:
    """A shell with job control, so that an interrupt reaches the program in front and nothing else.
    Leaving the context ends all that was started in it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
        self._lines: list[str] = []
        self._read = threading.Thread(target=self._keep_lines, daemon=True)
        self._read.start()
        self._begun = 0
        self._send("set -m")

    def _keep_lines(self) -> None:
        assert self._bash.stdout is not None
        self._lines.extend(iter(self._bash.stdout.readline, ""))

    def _send(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(line + "\n")
        self._bash.stdin.flush()

    def begin(self, text: str) -> None:
        """Type it, and wait for nothing."""
        self._begun = len(self._lines)
        # What the program reads is not what is typed next.
        self._send(f"{{ {text}\n}} </dev/null; printf '\\n{_ENDED} %s\\n' $?")

    @property
    def printed(self) -> str:
        """Since what was typed last."""
        return "".join(self._lines[self._begun :]).partition(f"\n{_ENDED}")[0]

    @property
    def _code(self) -> int | None:
        for line in self._lines[self._begun :]:
            if line.startswith(_ENDED):
                return int(line.removeprefix(_ENDED))
        return None

    def shows(self, seen: Callable[[str], bool], patience_s: float = PATIENCE_S) -> str:
        """What has been printed, once that is seen in it. Raises BrokenExample where the program
        ends without, or it is not seen in time."""
        deadline = time.monotonic() + patience_s
        while not seen(printed := self.printed):
            if self._code is not None or time.monotonic() > deadline:
                raise BrokenExample(f"not to be seen: {printed}")
            time.sleep(POLL_S)
        return printed

    def ended(self, patience_s: float = PATIENCE_S) -> int:
        """The exit code of what was typed last."""
        eventually(lambda: self._code is not None, "the shell comes back", patience_s, POLL_S)
        code = self._code
        assert code is not None
        return code

    def enter(self, text: str, patience_s: float = PATIENCE_S) -> str:
        """What it prints. Raises BrokenExample where it fails."""
        self.begin(text)
        if code := self.ended(patience_s):
            raise BrokenExample(f"{text}: exit code {code}: {self.printed}")
        return self.printed

    def interrupt(self) -> None:
        """Ctrl-C."""
        for child in psutil.Process(self._bash.pid).children():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgid(child.pid), signal.SIGINT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        started = psutil.Process(self._bash.pid).children(recursive=True)
        self.interrupt()
        _, left = psutil.wait_procs(started, timeout=20)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._bash.kill()
        self._bash.wait(10)
        self._read.join(10)
        for pipe in filter(None, (self._bash.stdin, self._bash.stdout)):
            pipe.close()
