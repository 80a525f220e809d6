"""vLLM's worker with a wait inside each step, for engines without drafts from outside."""

# vLLM is not installed where types are checked.
# mypy: allow-subclassing-any
from __future__ import annotations

from services.vllm_server.platform_worker import Worker
from services.vllm_server.step_wait import StepWait


class StepWaitWorker(StepWait, Worker):
    """`--worker-cls services.vllm_server.step_wait_worker.StepWaitWorker`"""
