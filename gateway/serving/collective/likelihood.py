"""How likely a server model finds an answer as its own.

The answer stands as the assistant's whole message, and the engine gives the log-probability of each
token of the prompt (vLLM's `prompt_logprobs`): the answer's own are those behind the prompt that
asks for it, whose length /tokenize gives. The tokens that end the message are among them, so that
an answer that breaks off is as unlikely as it should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.collective.untrusted import harmless
from gateway.errors import EngineFailed
from gateway.serving.collective.options import CollectiveRequest
from gateway.serving.collective.server_model import ServerAnswer, server_call
from gateway.serving.requests.engine_calls import EngineCalls, EngineReply

ANSWER_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Rows:
    """The log-probabilities of a whole prompt, as the engine gave them, and what that cost."""

    answered: EngineReply
    spoken: ServerAnswer


class Likelihood:
    """Calls of one request; its engines' answers are read by `logprobs`."""

    def __init__(self, calls: EngineCalls) -> None:
        self._calls = calls

    async def asking(self, asked: CollectiveRequest) -> int:
        """Tokens of the prompt that asks for an answer. Raises as `EngineCalls.whole` does, and
        EngineFailed for an engine that does not say."""
        messages = asked.with_last(asked.question)
        call = server_call(asked, messages, "weigh/prompt")
        prompt = await self._calls.whole(
            replace(call, path="/tokenize", body={"messages": messages})
        )
        count = prompt.body.get("count")
        if not isinstance(count, int):
            raise _none(prompt)
        return count

    async def rows(self, asked: CollectiveRequest, text: str, place: int) -> Rows:
        """Raises as `EngineCalls.whole` does."""
        messages = asked.with_last(asked.question)
        said: Mapping[str, Any] = {"role": "assistant", "content": harmless(text, ANSWER_CHARS)}
        call = server_call(asked, messages, f"weigh/{place}")
        body = {
            "messages": [*messages, said],
            "add_generation_prompt": False,
            "prompt_logprobs": 0,
            "max_tokens": 1,
            "temperature": 0,
        }
        answered = await self._calls.whole(replace(call, body=body))
        usage = answered.body.get("usage") or {}
        prompt, made = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        return Rows(
            answered,
            ServerAnswer(
                text="",
                model=answered.model,
                tier=answered.tier,
                finish_reason="stop",
                prompt_tokens=prompt,
                completion_tokens=made,
            ),
        )


def logprobs(answered: EngineReply, skip: int) -> Sequence[float]:
    """Of the prompt's tokens behind the first `skip`, one at least. Raises EngineFailed."""
    rows = answered.body.get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) <= skip:
        raise _none(answered)
    try:
        # The token that stands there comes first, alternatives after it.
        found = [float(next(iter(row.values()))["logprob"]) for row in rows[skip:]]
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError):
        raise _none(answered) from None
    if not math.isfinite(sum(found)):
        raise _none(answered)
    # Rounding may lift a certain token above 0.
    return [min(0.0, value) for value in found]


def _none(answered: EngineReply) -> EngineFailed:
    return EngineFailed(
        f"{answered.endpoint} gives no likelihood of a given answer",
        endpoint=answered.endpoint,
        code="no_likelihood",
    )
