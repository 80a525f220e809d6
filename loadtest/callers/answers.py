"""What an answer says, whole or streamed: texts, ends, usage, and where it breaks its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.protocol.paths import RESPONSES
from loadtest.measure.streams import DONE, EventParser, token_text


@dataclass(slots=True, kw_only=True)
class Answer:
    """The content of an answer; `texts` and the like are by choice.

    `error` is the message of an error event or body. `complete`: it ended as its protocol says.
    `violations` are sentences about what no server should send.
    """

    texts: dict[int, str] = field(default_factory=dict)
    finish_reasons: dict[int, str] = field(default_factory=dict)
    token_ids: dict[int, list[int]] = field(default_factory=dict)
    scored_tokens: dict[int, list[str]] = field(default_factory=dict)
    usage: tuple[int, int] | None = None
    ids: set[str] = field(default_factory=set)
    error: str | None = None
    complete: bool = False
    violations: list[str] = field(default_factory=list)
    openings: dict[int, int] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        return any(self.texts.values())

    def read_choice(self, choice: Mapping[str, Any]) -> None:
        """Add what a choice of a chunk or of a whole body says."""
        index = choice.get("index", 0)
        message = choice.get("message")
        text = token_text({"delta": message} if message else choice)
        if text and index in self.finish_reasons:
            self.violations.append("text after the finish reason")
        self.texts[index] = self.texts.get(index, "") + text
        if (choice.get("delta") or {}).get("role"):
            self.openings[index] = self.openings.get(index, 0) + 1
            if self.openings[index] > 1:
                self.violations.append("a second opening of the answer")
        if reason := choice.get("finish_reason"):
            self.finish_reasons[index] = reason
        self.token_ids.setdefault(index, []).extend(choice.get("token_ids") or ())
        self.scored_tokens.setdefault(index, []).extend(_scored(choice.get("logprobs") or {}))

    def read_usage(self, usage: Mapping[str, Any]) -> None:
        prompt = usage.get("prompt_tokens", usage.get("input_tokens", 0))
        self.usage = prompt, usage.get("completion_tokens", usage.get("output_tokens", 0))


def whole_answer(path: str, body: bytes) -> Answer:
    """The answer in one JSON body."""
    answer = Answer()
    try:
        fields = json.loads(body)
    except ValueError:
        answer.violations.append("the body is not valid JSON")
        return answer
    if "error" in fields and fields["error"]:
        answer.error = error_message(fields)
        return answer
    answer.ids.add(str(fields.get("id")))
    if path == RESPONSES:
        _read_response(answer, fields)
        answer.texts[0] = "".join(
            part.get("text", "")
            for item in fields.get("output") or ()
            for part in item.get("content") or ()
        )
    for choice in fields.get("choices") or ():
        answer.read_choice(choice)
    answer.read_usage(fields.get("usage") or {})
    answer.complete = bool(answer.texts)
    return answer


def streamed_answer(path: str, bodies: Iterable[bytes]) -> Answer:
    """The answer in the streams of one or more connections, one after the other.

    Half an event at the end of a connection counts for nothing.
    """
    answer = Answer()
    for body in bodies:
        for data in EventParser().feed(body):
            if answer.complete or answer.error:
                answer.violations.append("an event after the end")
            elif data == DONE:
                answer.complete = True
            else:
                _read_event(answer, path, data)
    return answer


def last_event_id(body: bytes) -> str:
    """The id of the last complete event of a stream; "" without one."""
    parser = EventParser()
    parser.feed(body)
    return parser.last_id


def error_message(fields: Mapping[str, Any]) -> str:
    """`code: message` of an error body or event."""
    error = fields.get("error")
    if not isinstance(error, dict):
        return str(error or fields.get("message") or "an error without a message")
    return f"{error.get('code')}: {error.get('message')}"


def _read_event(answer: Answer, path: str, data: str) -> None:
    try:
        event = json.loads(data)
    except ValueError:
        answer.violations.append("an event is not valid JSON")
        return
    if not isinstance(event, dict):
        answer.violations.append("an event is not an object")
    elif event.get("error"):
        answer.error = error_message(event)
    elif path == RESPONSES:
        _read_response_event(answer, event)
    else:
        answer.ids.add(str(event.get("id")))
        for choice in event.get("choices") or ():
            answer.read_choice(choice)
        if usage := event.get("usage"):
            answer.read_usage(usage)


def _read_response_event(answer: Answer, event: Mapping[str, Any]) -> None:
    """An event of the Responses API; its last one says how the response ended."""
    kind = event.get("type")
    response = event.get("response") or {}
    if kind == "response.output_text.delta":
        answer.texts[0] = answer.texts.get(0, "") + event["delta"]
    elif kind in ("response.completed", "response.incomplete"):
        _read_response(answer, response)
        answer.complete = True
    elif kind in ("response.failed", "error"):
        answer.error = error_message(response or event)
    if response.get("id"):
        answer.ids.add(str(response["id"]))


def _read_response(answer: Answer, response: Mapping[str, Any]) -> None:
    answer.read_usage(response.get("usage") or {})
    answer.finish_reasons[0] = str(response.get("status"))


def _scored(logprobs: Mapping[str, Any]) -> list[str]:
    """The tokens that have log-probabilities: a chat's or a completion's."""
    return [entry["token"] for entry in logprobs.get("content") or ()] or list(
        logprobs.get("tokens") or ()
    )
