"""vLLM's OpenAI server, which with speculation also takes requests that it can't speculate for.

With a speculative configuration vLLM refuses min_p and logit_bias for every request, because its
rejection sampler leaves them out. Here such requests are given no drafts (`race.eligibility`), and
a row without drafts is sampled with all they ask for (`race.worker`): there is nothing to refuse.
"""

from __future__ import annotations

import runpy
from typing import Any

SERVER = "vllm.entrypoints.openai.api_server"


def accept_all_parameters() -> None:
    """Turn off the check of requests' parameters, which runs in this process."""
    from vllm.sampling_params import SamplingParams

    # An AttributeError here says that another vLLM has other checks: look at them again.
    if not callable(SamplingParams._validate_spec_decode):
        raise TypeError("SamplingParams._validate_spec_decode is no method")
    SamplingParams._validate_spec_decode = _accept


def _accept(parameters: Any, speculation: Any) -> None:
    """In place of the check."""


if __name__ == "__main__":
    accept_all_parameters()
    runpy.run_module(SERVER, run_name="__main__", alter_sys=True)
