"""A wait inside the engine's step, to measure with a small model what a larger one would do.

Everything but the step's length stays real: what comes during the wait, such as drafts or new
requests, is in time for the next step, as it is while a larger model computes. Never on by
default. Pure but for the clock: `step_wait_worker` and `race.step_wait_worker` put it into vLLM.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from services.vllm_server.arguments import STEP_WAIT, step_wait_ms

log = logging.getLogger("vllm.tierflow")


class StepWait:
    """Before a worker among a class's bases: no step of it takes less than STEP_WAIT says.

    A step begins when the model is given its tokens and ends when the next token is drawn; what
    the scheduler does between two steps comes on top. Steps that compute nothing do not wait.
    """

    _least_step_s = 0.0
    _begun: float | None = None

    def init_device(self) -> None:
        """Raises services.vllm_server.arguments.ArgumentFailure for a wait that can't be."""
        self._least_step_s = 1e-3 * (step_wait_ms(os.environ) or 0.0)
        log.warning(
            "%s: every step takes at least %g ms, as a larger model's would",
            STEP_WAIT,
            1e3 * self._least_step_s,
        )
        super().init_device()  # type: ignore[misc]

    def execute_model(self, scheduler_output: Any, *arguments: Any, **named: Any) -> Any:
        self._begun = time.monotonic() if scheduler_output.total_num_scheduled_tokens else None
        return super().execute_model(scheduler_output, *arguments, **named)  # type: ignore[misc]

    def sample_tokens(self, *arguments: Any, **named: Any) -> Any:
        output = super().sample_tokens(*arguments, **named)  # type: ignore[misc]
        if self._begun is not None:
            remaining_s = self._begun + self._least_step_s - time.monotonic()
            if remaining_s > 0.0:
                time.sleep(remaining_s)
            self._begun = None
        return output
