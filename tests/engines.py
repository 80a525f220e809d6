"""The real engines of a run: each is started once, and shared by all tests that name it.

    @pytest.mark.engine("edge", "cloud")
    def test_something(engines: Engines) -> None:
        server = engines.get("edge").server

The mark says before the first test which engines the run needs: they load while tests that need
none run, and those that need some come last. Sharing is safe because tests compare what one engine
says, or count from what they read at their own beginning, and leave no request behind.

Models are the shipped family's, or those of the folder that TIERFLOW_TEST_FAMILY names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.reference_verifier.client import SECRET, Verifier
from tests.servers import SHIPPED_FAMILY, Server, eventually, free_port, start, start_vllm

PATIENCE_S = 600.0
"""For one engine to load, beside others and beside tests."""

AT_ONCE = {"edge": 4, "cloud": 4, "verifier": 16, "middle": 16, "qwen3": 4}
"""Requests that each vLLM runs at once: so few that a test can fill it, and for the verifier
enough for all sessions that tests have at a time."""

RACING = frozenset({"verifier", "middle", "qwen3"})
"""Those that take drafts."""

CORES = {"edge": 1, "cloud": 0, "verifier": 0, "middle": 1, "qwen3": 1}
"""Those that work at the same time in some test have a core each, where there are two."""

TINY_QWEN3 = "qwen3/tiny-qwen3-edge"
TINY_CACHE = 1 << 26
"""Bytes of its KV cache."""

MODELS = {
    "edge": "rill-edge",
    "cloud": "rill-cloud",
    "verifier": "rill-cloud",
    "middle": "rill-edge",
    "textbook": "rill-edge",
}


def engine_python() -> str:
    """The engine environment's. Skips the test where there is none."""
    python = os.environ.get("TIERFLOW_ENGINE_PYTHON")
    if not python:
        pytest.skip("TIERFLOW_ENGINE_PYTHON is not set; `make test` sets it")
    return python


def family() -> Path:
    """The folder with the models."""
    return Path(os.environ.get("TIERFLOW_TEST_FAMILY") or SHIPPED_FAMILY)


def tiny_models() -> Path:
    """The folder of `tests.tiny_models`."""
    # Imported here: that module imports this one.
    from tests.unit.services.model_family import engine_environment

    return engine_environment.tiny_models()


@dataclass(frozen=True)
class Engine:
    """A server of one model, and the port where it takes drafts, if it does."""

    server: Server
    mailbox: int | None = None

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.server.url, self.server.name, self.mailbox or 0)


@dataclass
class Engines:
    """The engines that were started so far, by name; `stack` stops them.

    `edge` and `cloud` are plain vLLM, `verifier` is vLLM with our scheduler on the cloud's model,
    `middle` the same on the edge's, and `textbook` is the reference verifier on the edge's. `qwen3`
    is as `verifier`, on a tiny model of another architecture.
    """

    folder: Path
    stack: ExitStack
    _started: dict[str, Engine] = field(default_factory=dict)

    def begin(self, names: Iterable[str]) -> None:
        """Start those that are not, and do not wait. Skips where there is nothing to start."""
        # The tiny model is made first, while the others load.
        for name in sorted(names, key=lambda name: name == "qwen3"):
            if name not in self._started:
                self._started[name] = engine = self._start(name)
                self.stack.callback(engine.server.stop)

    def get(self, name: str) -> Engine:
        """Ready to answer. Skips where there is nothing to start."""
        self.begin([name])
        engine = self._started[name]
        look = partial(engine.server.answers, "/health")
        eventually(look, f"{engine.server.name} loads", PATIENCE_S, 0.2)
        return engine

    def _start(self, name: str) -> Engine:
        python = engine_python()
        model = tiny_models() / TINY_QWEN3 if name == "qwen3" else family() / MODELS[name]
        if not (model / "config.json").is_file():
            pytest.skip(f"no {model.name} in {model.parent}; `make family` trains it")
        if name == "textbook":
            return self._start_textbook(python, model)
        flags: tuple[str, ...] = ("--max-num-seqs", str(AT_ONCE[name]))
        if name == "qwen3":
            flags += ("--kv-cache-memory-bytes", str(TINY_CACHE))
        core = str(CORES[name] % (os.cpu_count() or 1))
        if name not in RACING:
            return Engine(start_vllm(python, model, core, self.folder, *flags))
        mailbox = free_port()
        # How many drafts pay is a matter of the load; tests that count steps need them all.
        choice = "all" if name == "verifier" else "goodput"
        server = start_vllm(
            python, model, core, self.folder, *flags, mailbox=mailbox, secret=SECRET, choice=choice
        )
        return Engine(server, mailbox)

    def _start_textbook(self, python: str, model: Path) -> Engine:
        port, mailbox = free_port(), free_port()
        command = [python, "-m", "tests.reference_verifier", "--model", str(model)]
        command += ["--port", str(port), "--mailbox-port", str(mailbox)]
        url, secret = f"http://127.0.0.1:{port}", {"TIERFLOW_DRAFT_SECRET": SECRET}
        return Engine(start(model.name, command, self.folder, url, secret), mailbox)
