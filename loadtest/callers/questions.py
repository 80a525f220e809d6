"""Requests whose right answers are known: an engine that nothing disturbs is asked first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from random import Random
from typing import Any

import httpx

from gateway.protocol.headers import RESUMABLE
from gateway.protocol.paths import CHAT, COMPLETIONS, RESPONSES
from gateway.protocol.virtual_models import AUTO, EDGE
from loadtest.callers.answers import Answer, whole_answer
from loadtest.measure.command import BenchmarkFailure
from loadtest.prompts import some_questions

REFERENCE_S = 60.0
SURVIVES_S = 60
"""Seconds that a resumable stream survives its connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of request: its path, what it asks beside the prompt, and what may happen to it.

    `share` says how often it comes. `continues`: an answer that breaks off can go on at another
    engine. `returns`: its caller comes back to a stream that it lost.
    """

    name: str
    path: str = CHAT
    fields: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    share: int = 1
    stream: bool = True
    continues: bool = True
    returns: bool = False


KINDS = (
    Kind(name="chat", share=8),
    Kind(name="chat to its natural end", share=2, fields={"ignore_eos": False}),
    Kind(name="chat with token ids", fields={"return_token_ids": True}),
    Kind(name="chat with log-probabilities", fields={"logprobs": True, "top_logprobs": 2}),
    Kind(name="chat by tierflow-edge", model=EDGE, share=2),
    Kind(name="chat by tierflow-auto", model=AUTO, share=2),
    Kind(name="completion", path=COMPLETIONS, share=2),
    Kind(name="whole chat", stream=False, share=2),
    Kind(name="two choices", fields={"n": 2, "temperature": 1}, continues=False),
    Kind(name="response", path=RESPONSES, continues=False),
    Kind(name="chat over a lossy link", share=2, returns=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request, and the answer that is right."""

    kind: Kind
    body: Mapping[str, Any]
    answer: Answer

    @property
    def headers(self) -> dict[str, str]:
        return {RESUMABLE: str(SURVIVES_S)} if self.kind.returns else {}


def body_of(kind: Kind, model: str, prompt: str, tokens: int) -> dict[str, Any]:
    """The request's body; `model` is the served model, for kinds that name no other."""
    body: dict[str, Any] = {"model": kind.model or model, "temperature": 0}
    if kind.path == RESPONSES:
        return {**body, "input": prompt, "max_output_tokens": tokens, "stream": kind.stream}
    if kind.path == CHAT:
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    body |= {"max_tokens": tokens, "ignore_eos": True, **kind.fields}
    if kind.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def with_answers(
    reference: str,
    *,
    model: str,
    count: int,
    tokens: tuple[int, int],
    kinds: Sequence[Kind] = KINDS,
    seed: int = 1,
) -> list[Question]:
    """`count` questions of the kinds in turn, each with what the engine at `reference` answers.

    Answers have from the first to the second of `tokens` tokens. Raises BenchmarkFailure.
    """
    random = Random(seed)
    turns = [kind for kind in kinds for _ in range(kind.share)]
    random.shuffle(turns)
    questions = []
    with httpx.Client(base_url=reference, timeout=REFERENCE_S, trust_env=False) as http:
        for kind, prompt in zip(
            islice(cycle(turns), count), some_questions(seed, count), strict=True
        ):
            body = body_of(kind, model, prompt, random.randint(*tokens))
            questions.append(
                Question(kind=kind, body=body, answer=_right_answer(http, kind, model, body))
            )
    return questions


def _right_answer(http: httpx.Client, kind: Kind, model: str, body: Mapping[str, Any]) -> Answer:
    """The engine's own answer to the same question, in one piece."""
    fields = {k: v for k, v in body.items() if k not in ("stream", "stream_options")}
    reply = http.post(kind.path, json={**fields, "model": model})
    answer = whole_answer(kind.path, reply.content)
    if reply.status_code != 200 or not answer.complete or answer.violations:
        raise BenchmarkFailure(f"the reference answered {reply.status_code}: {reply.text[:200]}")
    return answer
