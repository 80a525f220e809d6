"""Gives each drafted row the temperature, top-k and top-p of its request, on CPUs too.

vLLM 0.32's CPU stand-in for this kernel (utils/cpu_triton_utils.py, _expand_kernel_impl) writes to
a converted copy of its output, as neither floats nor int32 are what its C++ takes, and drops it:
drafted rows are then sampled with whatever lay in memory, and a top-k of 0 ends the engine.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample import rejection_sampler


def fix_expand_kernel() -> None:
    """Replace the function in this process; to be called before anything is sampled."""
    rejection_sampler.expand_batch_to_tokens = expand_batch_to_tokens


def expand_batch_to_tokens(
    values: Any, cumulated: Any, rows: int, replace_from: int = 0, replace_to: int = 0
) -> Any:
    """values [requests] -> [rows]: each value as often as its request has drafts.

    `cumulated` [requests]: drafts of a request and all before it; its last is `rows`.
    """
    drafts = torch.diff(cumulated, prepend=cumulated.new_zeros(1))
    if replace_from != replace_to:
        values = values.masked_fill(values == replace_from, replace_to)
    return values.repeat_interleave(drafts, output_size=rows)
