"""A question to a gateway or a device agent, its answer as it comes, and who wrote what of it.

Green: drafted on the device and verified by the server. Blue: drafted by a tier between the two,
and verified. Plain: written by the server itself. Yellow: written by the device alone, not
verified.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.protocol.configuration.parser import USAGE
from gateway.protocol.configuration.urls import url_problem
from gateway.protocol.headers import ENDPOINT, MARKS, REASON, TIER

COLOURS = {"draft": "\033[32m", "edge": "\033[34m", "verifier": "", "device": "\033[33m"}
SIGNS = {"draft": "=", "edge": "-", "verifier": ".", "device": "?"}
RESET = "\033[0m"
TIMEOUT_S = 120.0
LOOK_S = 0.5


class AskFailed(Exception):
    """The question got no answer; one line for the user."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question as its asker typed it, for `model` at `url`. `key`: "" where none is shown."""

    text: str
    url: str
    model: str
    max_tokens: int | None = None
    key: str = ""

    def check(self) -> None:
        """Raises AskFailed."""
        if not self.text.strip():
            raise AskFailed("the question is empty", USAGE)
        if problem := url_problem(self.url):
            raise AskFailed(f"--url: {problem}", USAGE)
        if self.max_tokens is not None and self.max_tokens < 1:
            raise AskFailed(f"--max-tokens {self.max_tokens}: must be 1 or more", USAGE)

    @property
    def body(self) -> dict[str, Any]:
        most = {} if self.max_tokens is None else {"max_tokens": self.max_tokens}
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.text}],
            "stream": True,
            "stream_options": {"include_usage": True},
            **most,
        }

    @property
    def headers(self) -> dict[str, str]:
        return {MARKS: "1"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


@dataclass(kw_only=True)
class AnswerReport:
    """What is known of an answer once it is there. `extra` is the last chunk's `tierflow`."""

    model: str = ""
    seconds: float = 0.0
    tokens: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def listens(url: str) -> bool:
    """Whether a device agent or a gateway answers there."""
    try:
        with httpx.Client(trust_env=False, timeout=LOOK_S) as client:
            return client.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def ask(question: Question, *, plain: bool) -> str:
    """Print the answer as it comes; gives the line that tells who wrote it. Raises AskFailed."""
    question.check()
    started, signs = time.monotonic(), ""
    report = AnswerReport()
    for chunk in chunks(question, report):
        if "error" in chunk:
            raise AskFailed(str(chunk["error"]["message"]))
        report.model = str(chunk.get("model") or report.model)
        if usage := chunk.get("usage"):
            report.tokens = usage.get("completion_tokens")
        extra = chunk.get("tierflow") or {}
        # One origin a chunk, as marks were asked for; a gateway's text is all its servers' own.
        origin = extra.get("by", ["verifier"])[0]
        if extra.keys() - {"by"}:
            report.extra = extra
        for choice in chunk.get("choices", ()):
            text = choice["delta"].get("content") or ""
            print(text if plain else coloured(text, origin), end="", flush=True)
            signs += SIGNS[origin] * len(text)
    drafts = "way" in report.extra
    print(f"\n{signs}" if plain and drafts else "")
    report.seconds = time.monotonic() - started
    return f"{summary(report)}; asked {question.url}"


def chunks(question: Question, report: AnswerReport) -> Iterator[Any]:
    """The answer's chunks; its headers go into the report. Raises AskFailed."""
    url = question.url.rstrip("/") + "/v1/chat/completions"
    local = urlsplit(question.url).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=not local) as client,
            client.stream("POST", url, json=question.body, headers=question.headers) as answer,
        ):
            if answer.status_code != 200:
                raise AskFailed(f"{question.url} refuses: {_message(answer)}")
            report.headers = answer.headers
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line[6:])
    except httpx.HTTPError as exc:
        raise AskFailed(
            f"nothing answers at {question.url} ({type(exc).__name__}): run `tierflow up` "
            "first, or give --url"
        ) from exc


def _message(answer: httpx.Response) -> str:
    try:
        return str(json.loads(answer.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}, which is no answer of Tierflow"


def coloured(text: str, origin: str) -> str:
    return f"{COLOURS[origin]}{text}{RESET}" if text and COLOURS[origin] else text


def summary(report: AnswerReport) -> str:
    """Who wrote the answer, in one line."""
    extra, ms = report.extra, f"{1000 * report.seconds:.0f} ms"
    if "way" in extra:
        return _drafted(extra, ms)
    count = "" if report.tokens is None else f"{report.tokens} tokens "
    if cascade := extra.get("cascade"):
        stages = ", then ".join(f"{s['model']} {s['decision']}" for s in cascade["stages"])
        return f"cascade: {stages}: {count}in {ms}"
    if collective := extra.get("collective"):
        members = ", ".join(f"{m['device']} {m['outcome']}" for m in collective["members"])
        return f"collective: {members}; decided by {collective['decided_by']}: {count}in {ms}"
    tier, reason = report.headers.get(TIER, ""), report.headers.get(REASON, "")
    place = f" at the {tier} ({report.headers.get(ENDPOINT, '')}, {reason})" if tier else ""
    return f"{report.model}{place}: {count}in {ms}"


def _drafted(extra: Mapping[str, Any], ms: str) -> str:
    line = (
        f"{extra['way']}: {extra['verified_tokens'] + extra['unverified_tokens']} tokens in {ms}, "
        f"{extra['accepted_tokens']} of them drafted on the device and verified"
    )
    for tier, tokens in extra.get("middle_tokens", {}).items():
        line += f", {tokens} by the {tier} and verified"
    if extra["unverified_tokens"]:
        line += f", {extra['unverified_tokens']} unverified"
    return line + (f" ({extra['degraded']})" if extra["degraded"] else "")
