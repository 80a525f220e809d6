"""A worker that pays for verification only in steps that verify.

`--worker-cls services.vllm_server.race.worker.RaceWorker`. With a speculative configuration,
vLLM's model runner samples every step through its rejection sampler, whether or not there is
anything to reject: 5 % of a small model's step on a CPU. Here the runner sees the configuration
only in steps that carry drafts, and all others run exactly as on a server without speculation.

The runner also keeps vLLM's processors for min_p and logit_bias, which it would leave out beside
speculation: rows without drafts need them (`race.eligibility` says which rows those are).

Right by construction with tensor parallelism: each rank decides by what the step carries, which
the scheduler sends to all of them alike.
"""

# vLLM is not installed where types are checked.
# mypy: allow-subclassing-any
from __future__ import annotations

from typing import Any

from vllm.platforms import current_platform
from vllm.v1.sample.logits_processor import BUILTIN_LOGITS_PROCESSORS, LogitsProcessors
from vllm.v1.worker import gpu_model_runner

from services.vllm_server.platform_worker import Worker
from services.vllm_server.race.cpu_kernel_fix import fix_expand_kernel
from services.vllm_server.race.greedy import compare_greedy_rows


class RaceWorker(Worker):
    """The worker of vLLM for this platform, with speculation switched on step by step."""

    def init_device(self) -> None:
        gpu_model_runner.build_logitsprocs = build_processors
        if current_platform.is_cpu():
            fix_expand_kernel()
        super().init_device()
        if current_platform.is_cpu() and hasattr(self.model_runner, "rejection_sampler"):
            # On a GPU rejection sampling has real kernels, and a comparison would wait for the ids.
            compare_greedy_rows(self.model_runner.rejection_sampler)
        self._speculation = self.model_runner.speculative_config

    def execute_model(self, scheduler_output: Any, *arguments: Any, **named: Any) -> Any:
        # Holds for the call of sample_tokens that follows as well.
        drafted = bool(scheduler_output.scheduled_spec_decode_tokens)
        self.model_runner.speculative_config = self._speculation if drafted else None
        return super().execute_model(scheduler_output, *arguments, **named)


def build_processors(
    vllm_config: Any, device: Any, pin_memory: bool, pooling: bool, custom: Any = ()
) -> Any:
    """As vLLM's build_logitsprocs does without speculation, but for processors of others.

    Those would be left out of drafted rows. Raises ValueError where the command line names some.
    """
    if custom:
        raise ValueError("--logits-processors can't be used beside --draft-mailbox")
    if pooling:
        return LogitsProcessors()
    return LogitsProcessors(
        kind(vllm_config, device, pin_memory) for kind in BUILTIN_LOGITS_PROCESSORS
    )
