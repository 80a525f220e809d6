"""Many callers at once, each with a mark of its own in every prompt and key: no byte that one of
them gets, and no line of the log, may carry another's."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import httpx

from tests.fuzz.described import note_answer
from tests.fuzz.findings import Findings
from tests.fuzz.rig import MODELS, Rig

CALLERS = 6
MARK = re.compile(r"mark[0-9a-f]{16}")
SHARED_KEY = "the key that every caller takes"


class Caller:
    """One caller, who repeats itself, breaks off, comes back, and tries what others began."""

    def __init__(self, rig: Rig, seed: str, streams: list[str], findings: Findings) -> None:
        self.mark = f"mark{secrets.token_hex(8)}"
        self._rig = rig
        self._random = Random(seed)
        self._streams = streams
        self._findings = findings

    def run(self, end: float) -> None:
        headers = {"authorization": f"Bearer {self.mark}"}
        limits = httpx.Limits(max_keepalive_connections=2)
        with httpx.Client(
            base_url=self._rig.url, headers=headers, timeout=20, limits=limits, trust_env=False
        ) as http:
            while time.monotonic() < end:
                self._findings.inputs["requests of marked callers"] += 1
                with suppress(httpx.TransportError):
                    self._one(http)

    def _one(self, http: httpx.Client) -> None:
        act = self._random.choice(
            (
                self._echo,
                self._echo,
                self._chat,
                self._broken,
                self._resume,
                self._collective,
            )
        )
        act(http)

    def _echo(self, http: httpx.Client) -> None:
        body = self._body(echo=True, prompt=f"{self.mark} says", stream=self._random.random() < 0.5)
        text = self._post(http, "/v1/completions", body)
        if text is not None and self.mark not in text:
            self._findings.leak("an echoed prompt", "the caller's own prompt did not come back")

    def _chat(self, http: httpx.Client) -> None:
        body = self._body(messages=[{"role": "user", "content": self.mark}], stream=True)
        self._post(http, "/v1/chat/completions", body, {"x-tierflow-resumable": "20"})

    def _collective(self, http: httpx.Client) -> None:
        messages = [{"role": "user", "content": f"{self.mark}: what is 3 + 4?"}]
        body = {"model": "tierflow-collective", "messages": messages, "max_tokens": 4}
        self._post(http, "/v1/chat/completions", body, {"idempotency-key": SHARED_KEY})

    def _broken(self, http: httpx.Client) -> None:
        """Leave in the middle of a stream, or of the request."""
        body = self._body(
            echo=True, prompt=[f"{self.mark} {self.mark}"], stream=True, max_tokens=200
        )
        if self._random.random() < 0.3:
            half = b'{"model": "' + MODELS[0].encode() + b'", "prompt": "' + self.mark.encode()
            with suppress(httpx.HTTPError):
                http.post("/v1/completions", content=_breaking(half))
            return
        with http.stream("POST", "/v1/completions", json=body) as answer:
            for piece in answer.iter_text():
                self._look(piece, "a stream that is broken off")
                break

    def _resume(self, http: httpx.Client) -> None:
        """Ask for a stream that another caller began."""
        if self._streams:
            stream = self._random.choice(self._streams)
            answer = http.get(f"/v1/streams/{stream}")
            self._look(answer.text, "another's stream")
            note_answer(self._findings, "GET /v1/streams/{stream}", answer, "")

    def _body(self, **more: Any) -> dict[str, Any]:
        return {"model": self._random.choice(MODELS), "max_tokens": 3, **more}

    def _post(
        self,
        http: httpx.Client,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> str | None:
        """The answer's text where it is a good one."""
        answer = http.post(path, json=body, headers=headers)
        self._look(answer.text + repr(answer.headers), f"POST {path}")
        note_answer(self._findings, f"POST {path}", answer, "")
        if stream := answer.headers.get("x-tierflow-stream"):
            self._streams[:] = [*self._streams[-20:], stream]
        return answer.text if answer.status_code == 200 else None

    def _look(self, text: str, where: str) -> None:
        if set(MARK.findall(text)) - {self.mark}:
            self._findings.leak(where, "another caller's mark")


def _breaking(half: bytes) -> Iterator[bytes]:
    yield half
    raise httpx.WriteError("on purpose")


def fuzz_callers(rig: Rig, seconds: float, seed: int, findings: Findings) -> None:
    """All callers at once; then the log and the metrics are searched for their marks."""
    streams: list[str] = []
    end = time.monotonic() + seconds
    callers = [Caller(rig, f"{seed} {i}", streams, findings) for i in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as threads:
        for done in [threads.submit(caller.run, end) for caller in callers]:
            done.result()
    if MARK.search(rig.gateway.output()):
        findings.leak("the gateway's log", "a caller's mark")
    if MARK.search(httpx.get(f"{rig.url}/metrics").text):
        findings.leak("the metrics", "a caller's mark")
