"""Verification of greedy requests by comparing ids: the same tokens at a fraction of the work.

vLLM's rejection sampler treats greedy requests like sampled ones: two passes over the
logits, copies of them, kernels that a CPU only imitates. Where a step has greedy requests alone
and nothing bends their logits, a row's token is its argmax, and a draft stands when it is that
(Leviathan et al. 2023, section 2.3, for a distribution with all its weight on one token).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vllm.v1.outputs import SamplerOutput
from vllm.v1.sample.logits_processor.builtin import (
    LogitBiasLogitsProcessor,
    MinTokensLogitsProcessor,
)

from services.vllm_server.race.comparison import verified


def compare_greedy_rows(sampler: Any) -> None:
    """Let this rejection sampler compare ids wherever that gives the same."""
    sampler.forward = _with_comparison(sampler.forward)


def _with_comparison(rejection_sampling: Callable[..., Any]) -> Callable[..., Any]:
    def forward(metadata: Any, draft_probs: Any, logits: Any, sampling: Any) -> Any:
        if draft_probs is not None or not plainly_greedy(sampling):
            return rejection_sampling(metadata, draft_probs, logits, sampling)
        likeliest = logits.to(torch.float32).argmax(dim=-1).tolist()
        rows = verified(likeliest, metadata.draft_token_ids.tolist(), metadata.num_draft_tokens)
        ids = torch.tensor(rows, dtype=torch.int32, device=logits.device)
        return SamplerOutput(sampled_token_ids=ids, logprobs_tensors=None)

    return forward


def plainly_greedy(sampling: Any) -> bool:
    """Whether every row's token is the argmax of its bare logits, and nothing else is computed."""
    holder = sampling.thinking_budget_state_holder
    return bool(
        sampling.all_greedy
        and sampling.max_num_logprobs is None
        and not sampling.logprob_token_ids
        and sampling.no_penalties
        and not sampling.bad_words_token_ids
        and sampling.allowed_token_ids_mask is None
        and not (holder is not None and holder.has_tracked_requests())
        and not any(_bends(processor) for processor in sampling.logitsprocs.non_argmax_invariant)
    )


def _bends(processor: Any) -> bool:
    if isinstance(processor, MinTokensLogitsProcessor):
        return bool(processor.min_toks)
    if isinstance(processor, LogitBiasLogitsProcessor):
        return bool(processor.biases)
    return True
