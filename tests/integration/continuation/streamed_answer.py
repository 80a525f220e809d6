"""What a client has heard of a stream, however its events were cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StreamedAnswer:
    """`heads` are the different beginnings of its events: there has to be one."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    end: tuple[Any, Any] = (None, None)
    usage: Any = None
    running_usage: list[int] = field(default_factory=list)
    error: Any = None
    done: bool = False
    heads: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def said(self) -> tuple[Any, ...]:
        """All that a break must not change."""
        return self.text, self.ids, self.logprobs, self.offsets, self.end, self.usage, self.done


def streamed_answer(lines: Iterable[str]) -> StreamedAnswer:
    answer = StreamedAnswer()
    for line in lines:
        if line == "data: [DONE]":
            answer.done = True
        elif line.startswith("data: "):
            _add(answer, json.loads(line[6:]))
    return answer


def _add(answer: StreamedAnswer, event: dict[str, Any]) -> None:
    if "error" in event:
        answer.error = event["error"]
        return
    assert not answer.done, "nothing follows [DONE]"
    answer.heads.add(tuple(event[key] for key in ("id", "object", "created", "model")))
    if usage := event.get("usage"):
        counts = [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
        answer.running_usage.append(counts[1])
        answer.usage = counts
    for choice in event["choices"]:
        answer.text += (choice.get("delta") or {}).get("content") or choice.get("text") or ""
        answer.ids += choice.get("token_ids") or []
        _add_logprobs(answer, choice.get("logprobs") or {})
        if choice.get("finish_reason"):
            answer.end = choice["finish_reason"], choice.get("stop_reason")


def _add_logprobs(answer: StreamedAnswer, logprobs: dict[str, Any]) -> None:
    for entry in logprobs.get("content") or ():
        top = [(one["token"], round(one["logprob"], 3)) for one in entry["top_logprobs"]]
        answer.logprobs.append((entry["token"], entry["bytes"], round(entry["logprob"], 3), top))
    for token, logprob in zip(
        logprobs.get("tokens") or (), logprobs.get("token_logprobs") or (), strict=True
    ):
        answer.logprobs.append((token, round(logprob, 3)))
    answer.offsets += logprobs.get("text_offset") or []
