"""Chat questions to a server: the request's body, and a client that keeps what figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import refusal
from loadtest.measure.streams import StreamedAnswer

PATH = "/v1/chat/completions"


def chat_body(
    model: str, question: str, *, max_tokens: int, stream: bool = False, **fields: object
) -> dict[str, Any]:
    """A question that is answered greedily. Streams end with the engine's count of tokens."""
    streamed = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
        **streamed,
        **fields,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A server's reply to one question.

    `status` is 0 where the connection broke. `seconds` pass until the reply is whole, `first_s`
    until its first text (streams alone). `tier` is who answered, where it was one tier;
    `tierflow` is the body's field of that name.
    """

    status: int
    text: str
    tokens: int
    seconds: float
    first_s: float | None = None
    model: str = ""
    tier: str = ""
    tierflow: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cascade(self) -> Mapping[str, Any]:
        """What the gateway tells of its cascade; {} where there was none."""
        return self.tierflow.get("cascade") or {}

    @property
    def members(self) -> Sequence[Mapping[str, Any]]:
        """What the gateway tells of a collective's members."""
        members: Sequence[Mapping[str, Any]] = self.tierflow.get("collective", {}).get(
            "members", ()
        )
        return members


def whole_reply(response: httpx.Response, seconds: float) -> Reply:
    """The reply that came in one piece; one without text where the status is not 200."""
    if response.status_code != 200:
        return Reply(status=response.status_code, text="", tokens=0, seconds=seconds)
    body = response.json()
    return Reply(
        status=200,
        text=body["choices"][0]["message"]["content"] or "",
        tokens=body["usage"]["completion_tokens"],
        seconds=seconds,
        model=body["model"],
        tier=response.headers.get("x-tierflow-tier", ""),
        tierflow=body.get("tierflow") or {},
    )


def streamed_reply(answer: StreamedAnswer, seconds: float) -> Reply:
    """Raises BenchmarkFailure where the stream did not end as a stream should."""
    if answer.error or not answer.complete:
        raise BenchmarkFailure(f"a stream failed: {answer.error or 'it ended early'}")
    return Reply(
        status=200,
        text=answer.text,
        tokens=answer.tokens,
        seconds=seconds,
        first_s=answer.ttft,
        model=answer.model,
        tierflow=answer.tierflow,
    )


class ChatClient:
    """A caller, which asks one question at a time."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> ChatClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """Never raises: a refusal and a lost connection are replies."""
        start = perf_counter()
        try:
            response = self._http.post(PATH, json=body)
        except httpx.HTTPError:
            return Reply(status=0, text="", tokens=0, seconds=perf_counter() - start)
        return whole_reply(response, perf_counter() - start)

    def stream(self, body: Mapping[str, Any]) -> Reply:
        """Raises BenchmarkFailure where there is no stream or it does not end as it should."""
        answer = StreamedAnswer(sent=perf_counter())
        with self._http.stream("POST", PATH, json=body) as response:
            if response.status_code != 200:
                raise refusal(response.status_code, response.read())
            for piece in response.iter_bytes():
                answer.observe(perf_counter(), piece)
        return streamed_reply(answer, perf_counter() - answer.sent)
