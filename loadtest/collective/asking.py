"""Ask one question in one way, whole or streamed, and keep what the figures need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx

from loadtest.collective.plan import Way
from loadtest.measure.failure import BenchmarkFailure
from loadtest.speculation.questions import Question

PATH = "/v1/chat/completions"
MAX_TOKENS = 96
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """`seconds` until the answer was whole, `first_s` until its first text (streams alone).

    `status` is 0 where the connection broke; `tier` is who answered, where it was one tier;
    `about` is the body's `tierflow` field.
    """

    status: int
    text: str
    tokens: int
    seconds: float
    first_s: float | None = None
    tier: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.about.get("collective", {}).get("members", ())
        return found


class Client:
    """One caller, one request at a time."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, way: Way, question: Question) -> Reply:
        """Never raises for what the gateway answers."""
        began = perf_counter()
        try:
            answer = self._http.post(PATH, json=body(way, question))
        except httpx.HTTPError:
            return Reply(0, "", 0, perf_counter() - began)
        seconds = perf_counter() - began
        if answer.status_code != 200:
            return Reply(answer.status_code, "", 0, seconds)
        found = answer.json()
        return Reply(
            200,
            found["choices"][0]["message"]["content"] or "",
            found["usage"]["completion_tokens"],
            seconds,
            tier=answer.headers.get("x-tierflow-tier", ""),
            about=found.get("tierflow") or {},
        )

    def stream(self, way: Way, question: Question) -> Reply:
        """Raises BenchmarkFailure when it does not end as a stream should."""
        wanted = {**body(way, question), "stream": True}
        began = perf_counter()
        first, text, tokens, ended = None, "", 0, False
        about: dict[str, Any] = {}
        with self._http.stream("POST", PATH, json=wanted) as answer:
            for line in answer.iter_lines():
                if not line.startswith("data:"):
                    continue
                data = line[5:].strip()
                if data == "[DONE]":
                    ended = True
                    break
                event = json.loads(data)
                about |= event.get("tierflow") or {}
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
                for choice in event.get("choices") or ():
                    if piece := (choice.get("delta") or {}).get("content"):
                        first = perf_counter() - began if first is None else first
                        text += piece
        if not ended:
            raise BenchmarkFailure(f"the stream of {way.name} ended early: {answer.status_code}")
        return Reply(200, text, tokens, perf_counter() - began, first, about=about)


def body(way: Way, question: Question) -> dict[str, Any]:
    return {
        "model": way.model,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        **({"tierflow": way.options} if way.options else {}),
    }
