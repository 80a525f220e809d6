"""What another engine needs to go on with a streamed answer whose engine broke in the middle.

A request that can be continued is sent with `return_token_ids`: the engine's events then carry the
ids of what they say, as vLLM's do. `SentAnswer` keeps those ids while the events go by, and takes
them out of the events where the caller did not ask for them. It parses nothing meanwhile: what the
events say is read once the engine has broken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.streams.chat_answer import token_ids
from gateway.core.streams.event_ids import (
    IDS,
    IDS_KEY,
    IDS_NAME,
    NO_IDS,
    NO_PROMPT_IDS,
    PROMPT_IDS,
    numbers,
)
from gateway.core.streams.protocols import each_choice
from gateway.protocol.paths import CHAT, COMPLETIONS

MAX_PROMPT_CHARS = 256 * 1024
"""The longest prompt of which an engine gives the ids, which it sends before the answer begins."""
MAX_EVENT_BYTES = 4 * 1024 * 1024
"""The most that is kept of one answer's events, where its text is needed as well as its ids."""
GREEDY_BELOW = 1e-5
"""vLLM takes the likeliest token below this temperature."""
_LAST = 8
_OF_THE_WHOLE = frozenset(
    {
        "tools", "functions", "response_format", "structured_outputs", "audio", "modalities",
        "echo", "best_of", "use_beam_search", "prompt_logprobs", "suffix", "prompt_embeds",
        "kv_transfer_params", "truncate_prompt_tokens", "return_tokens_as_token_ids",
        "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    }
)  # fmt: skip
"""Fields with which an answer can't be taken up in its middle, or its events are other ones."""
NEUTRAL: tuple[object, ...] = (None, False, "", [], {}, {"type": "text"})


@dataclass(frozen=True, slots=True)
class ContinuationTerms:
    """What the record of a stream must heed. `shows_ids`: the caller asked for token ids itself.
    `keeps_text`: the text is needed to go on (stop texts, offsets), so all events are kept."""

    shows_ids: bool
    keeps_text: bool


def continuation_terms(
    path: str, fields: Mapping[str, Any], prompt_chars: int
) -> ContinuationTerms | None:
    """None where the answer to this body is not one stream of text that another engine can go on
    with."""
    if fields.get("stream") is not True or prompt_chars > MAX_PROMPT_CHARS:
        return None
    if fields.get("n") not in (None, 1):
        return None
    if any(fields[name] not in NEUTRAL for name in _OF_THE_WHOLE & fields.keys()):
        return None
    if path == CHAT:
        plain = all(_is_text(message) for message in fields.get("messages") or ())
    else:
        plain = path == COMPLETIONS and is_one_prompt(fields.get("prompt"))
    if not plain:
        return None
    if _counts_tokens_greedily(fields):
        return None
    offsets = path == COMPLETIONS and fields.get("logprobs") is not None
    return ContinuationTerms(
        shows_ids=fields.get("return_token_ids") is True,
        keeps_text=offsets or bool(fields.get("stop")),
    )


def _counts_tokens_greedily(fields: Mapping[str, Any]) -> bool:
    """Whether the one right text depends on how often each token has been said: an engine that
    goes on takes what was sent for the prompt, and these penalties count the answer alone. Where
    chance chooses the tokens, a text that goes on without them is as good as another."""
    temperature = fields.get("temperature")
    greedy = isinstance(temperature, int | float) and temperature < GREEDY_BELOW
    return greedy and any(fields.get(name) for name in ("presence_penalty", "frequency_penalty"))


def _is_text(message: Any) -> bool:
    """No picture or sound: these do not go along as token ids."""
    if not isinstance(message, Mapping):
        return False
    content = message.get("content")
    if not isinstance(content, list):
        return True
    return all(isinstance(part, str) or _type_of(part) == "text" for part in content)


def _type_of(part: Any) -> object:
    return part.get("type", "text" if "text" in part else None) if isinstance(part, Mapping) else 0


def is_one_prompt(prompt: Any) -> bool:
    if isinstance(prompt, str):
        return True
    return isinstance(prompt, list) and all(isinstance(token, int) for token in prompt)


def with_token_ids(body: bytes) -> bytes:
    """The same JSON object, asking for token ids. The last of two equal keys counts."""
    end = body.rstrip()
    return end[:-1] + b',"return_token_ids":true}'


def tells_prompt(events: bytes) -> bool:
    """Whether these first events of a stream have the ids with which another engine can go on."""
    return PROMPT_IDS.search(events) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """What every event of a stream begins with; `created` is in seconds since 1970."""

    id: str
    created: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """What the caller has of an answer.

    `ids` are the tokens to go on from: their text has been sent whole, or, where `text` is known,
    at least the beginning of it. `repeated` are further ones, which have shown no text yet and are
    made once more. `finished`: the answer itself was complete, and only its end was missing;
    `counted`: not even its token counts were.
    """

    head: AnswerHead
    prompt_ids: list[int]
    ids: list[int]
    repeated: list[int]
    text: str | None
    finished: bool
    counted: bool


class SentAnswer:
    """The record of the events of one stream, as the caller has them."""

    __slots__ = (
        "_again",
        "_events",
        "_first",
        "_ids",
        "_prompt_ids",
        "_size",
        "_tail",
        "_terms",
    )

    def __init__(self, terms: ContinuationTerms) -> None:
        self._terms = terms
        self._first = b""
        self._prompt_ids: bytes | None = None
        self._ids: list[bytes] = []
        self._again: list[int] = []
        self._tail: deque[bytes] = deque(maxlen=_LAST)
        self._events: list[bytes] = []
        self._size = 0

    @property
    def has_ids(self) -> bool:
        """Whether the engine tells the token ids, without which nobody can go on."""
        return self._prompt_ids is not None

    def note(self, events: bytes) -> bytes:
        """Keep what whole events tell; gives them as the caller is to see them."""
        if not self._ids:
            if self._prompt_ids is None and len(self._tail) == _LAST:
                # An engine that has told no ids by now tells none.
                return events
            events = self._note_prompt(events)
        if self._terms.keeps_text:
            self._keep(events)
        self._tail.append(events)
        begin = events.find(IDS_KEY)
        end = events.find(b"]", begin)
        if begin >= 0 and events.find(IDS_NAME, end) < 0 and not self._terms.shows_ids:
            # One token batch as an engine writes it: the pattern would cost as much as the rest.
            self._ids.append(events[begin + len(IDS_KEY) : end])
            return events[:begin] + NO_IDS + events[end + 1 :]
        self._ids += IDS.findall(events)
        return events if self._terms.shows_ids else IDS.sub(NO_IDS, events)

    def _note_prompt(self, events: bytes) -> bytes:
        self._first = self._first or events
        if self._prompt_ids is None and (match := PROMPT_IDS.search(events)):
            self._prompt_ids = match[1]
            if not self._terms.shows_ids:
                return PROMPT_IDS.sub(NO_PROMPT_IDS, events)
        return events

    def _keep(self, events: bytes) -> None:
        self._size += len(events)
        if self._size <= MAX_EVENT_BYTES:
            self._events.append(events)

    def rewind(self, ids: Sequence[int], repeated: Sequence[int]) -> None:
        """Another engine goes on after `ids`; those `repeated` are made once more."""
        self._ids = [b",".join(b"%d" % token for token in ids)]
        self._again = list(repeated)
        self._tail.clear()

    def read(self) -> SentPart | None:
        """None where nobody can go on: an event says something beside text, or the ids lack."""
        head = _head(self._first)
        if head is None or self._prompt_ids is None or self._size > MAX_EVENT_BYTES:
            return None
        try:
            prompt_ids = numbers(self._prompt_ids)
            ids = [token for group in self._ids for token in numbers(group)]
        except ValueError:
            return None
        tail = [event for events in self._tail for event in _events(events)]
        last = [choice for event in tail for choice in each_choice(event)]
        if any(_says_more(choice) for choice in last):
            return None
        finished = any(choice.get("finish_reason") for choice in last)
        text, kept = None, len(ids)
        if self._terms.keeps_text:
            text = "".join(_text(c) for events in self._events for c in _choices(events))
        elif not finished:
            kept -= _without_text(last)
        # Until the engine that goes on has shown something, those that it repeats are the same.
        again = self._again if len(self._ids) == 1 else []
        return SentPart(
            head=head,
            prompt_ids=prompt_ids,
            ids=ids[:kept],
            repeated=ids[kept:] or list(again),
            text=text,
            finished=finished,
            counted=any(event.get("usage") and not event.get("choices") for event in tail),
        )


def _events(data: bytes) -> list[dict[str, Any]]:
    found = []
    for line in data.splitlines():
        if line.startswith(b"data:") and (text := line[5:].strip()) != b"[DONE]":
            try:
                event = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
            if isinstance(event, dict):
                found.append(event)
    return found


def _head(data: bytes) -> AnswerHead | None:
    for event in _events(data):
        id, created, model = event.get("id"), event.get("created"), event.get("model")
        if isinstance(id, str) and isinstance(created, int) and isinstance(model, str):
            return AnswerHead(id=id, created=created, model=model)
    return None


def _choices(data: bytes) -> list[dict[str, Any]]:
    return [choice for event in _events(data) for choice in each_choice(event)]


def _text(choice: Mapping[str, Any]) -> str:
    delta = choice.get("delta")
    found = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return found if isinstance(found, str) else ""


def _says_more(choice: Mapping[str, Any]) -> bool:
    """Whether it has a tool call or a thought, after which nobody else can go on."""
    delta = choice.get("delta") or {}
    if not isinstance(delta, dict):
        return True
    return any(value for name, value in delta.items() if name not in ("role", "content"))


def _without_text(last: list[dict[str, Any]]) -> int:
    """How many of the last tokens have shown no text yet: they may be a part of a letter only, so
    they are made once more."""
    count = 0
    for choice in reversed(last):
        if _text(choice):
            break
        count += len(token_ids(choice.get("token_ids")))
    return count
