"""The race's worker with a wait inside each step: drafts that come meanwhile are in time."""

from __future__ import annotations

from services.vllm_server.race.worker import RaceWorker
from services.vllm_server.step_wait import StepWait


class StepWaitRaceWorker(StepWait, RaceWorker):
    """`--worker-cls services.vllm_server.race.step_wait_worker.StepWaitRaceWorker`"""
