"""A step takes at least as long as it is told to, and no longer than it takes by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.vllm_server import step_wait
from services.vllm_server.step_wait import StepWait


class VirtualClock:
    """In place of the module `time`: only what sleeps, or computes, takes time."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Worker:
    """Computes for `model_s` seconds, and draws tokens for `sampling_s`."""

    clock: VirtualClock
    model_s = 0.004
    sampling_s = 0.001
    is_ready = False

    def init_device(self) -> None:
        self.is_ready = True

    def execute_model(self, scheduler_output: Any) -> None:
        self.clock.now += self.model_s

    def sample_tokens(self, grammar: Any) -> str:
        self.clock.now += self.sampling_s
        return "tokens"


class WaitingWorker(StepWait, Worker):
    pass


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> WaitingWorker:
    monkeypatch.setenv("TIERFLOW_STEP_WAIT_MS", "25")
    worker = WaitingWorker()
    worker.clock = VirtualClock()
    monkeypatch.setattr(step_wait, "time", worker.clock)
    worker.init_device()
    assert worker.is_ready
    return worker


def step_s(worker: WaitingWorker, tokens: int = 1) -> float:
    begun = worker.clock.now
    worker.execute_model(SimpleNamespace(total_num_scheduled_tokens=tokens))
    assert worker.sample_tokens(None) == "tokens"
    return worker.clock.now - begun


def test_a_short_step_is_filled_up_and_a_long_one_is_left_as_it_is(worker: WaitingWorker) -> None:
    assert step_s(worker) == pytest.approx(0.025)
    assert step_s(worker, tokens=17) == pytest.approx(0.025)
    worker.model_s = 0.040
    assert step_s(worker) == pytest.approx(0.041)


def test_a_step_that_computes_nothing_does_not_wait(worker: WaitingWorker) -> None:
    assert step_s(worker, tokens=0) == pytest.approx(0.005)
    assert step_s(worker) == pytest.approx(0.025)


def test_the_wait_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERFLOW_STEP_WAIT_MS", "12.5")
        WaitingWorker().init_device()
    assert "TIERFLOW_STEP_WAIT_MS: every step takes at least 12.5 ms" in caplog.text
