"""Which requests may be given drafts, so that their answers stay exactly those of plain vLLM.

vLLM's rejection sampler applies temperature, top-p, top-k, seeds, penalties, bad words, allowed
ids, min_tokens and grammars to drafted rows, but not min_p and logit_bias. A row without drafts
goes through the ordinary sampler (as a *bonus* row) with everything that the request asks for,
whatever its neighbours do; only what `blocks` names is lost there.
"""

from __future__ import annotations

from typing import Any

SESSION = "draft_session"


def session_of(request: Any) -> str | None:
    """The session that a request names in `vllm_xargs`; nothing else may be one."""
    parameters = request.sampling_params
    extra = parameters.extra_args if parameters is not None else None
    session = extra.get(SESSION) if extra else None
    return session if isinstance(session, str) and 8 <= len(session) <= 64 else None


def may_draft(request: Any) -> bool:
    """Whether vLLM verifies drafts of such a request exactly."""
    parameters = request.sampling_params
    return not (
        request.resumable
        or parameters.min_p > 0
        or parameters.logit_bias
        or parameters.prompt_logprobs is not None
        or blocks(request)
    )


def blocks(request: Any) -> bool:
    """Whether, while this request runs, no step may carry drafts of any request.

    The sampler that rejects drafts forgets log-probabilities of given ids, for every row; and it
    steers a thinking budget by state that it shares between rows.
    """
    parameters = request.sampling_params
    return parameters is not None and (
        bool(parameters.logprob_token_ids) or parameters.thinking_token_budget is not None
    )


def decodes(request: Any) -> bool:
    """Whether the next step would compute exactly one token: all but the last are computed.

    Until there are `min_tokens`, the sampler would forbid the end after accepted drafts, too, even
    where they reach that number: drafts wait for the first step in which nothing is forbidden.
    """
    return bool(
        request.num_output_placeholders == 0
        and request.num_computed_tokens == request.num_tokens - 1
        and request.num_output_tokens > 0
        and request.num_output_tokens >= request.sampling_params.min_tokens
    )
