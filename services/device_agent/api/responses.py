"""Answers in the shape of the OpenAI API: bodies, and the chunks of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from services.device_agent.answers.answer import AnswerPiece, AnswerReport
from services.device_agent.api.requests import ApiRequest


class ResponseWriter:
    """The writer of one answer, as one body or as chunks. `text` is what a piece adds."""

    def __init__(self, request: ApiRequest) -> None:
        self._request = request
        kind = "chatcmpl" if request.chat else "cmpl"
        self._head = {
            "id": f"{kind}-{uuid.uuid4().hex}",
            "created": int(time.time()),
        }

    def first(self, report: AnswerReport) -> bytes:
        """The chunk before any text; empty but for chats."""
        if not self._request.chat:
            return b""
        return self._chunk(report, {"role": "assistant", "content": ""})

    def piece(self, text: str, piece: AnswerPiece | None, report: AnswerReport) -> bytes:
        extra: dict[str, Any] = {}
        if piece is not None and self._request.marks:
            extra["tierflow"] = {"by": piece.origins}
        token_ids = piece.token_ids if piece is not None else []
        delta: Any = {"content": text} if self._request.chat else text
        return self._chunk(report, delta, token_ids=token_ids, **extra)

    def last(self, report: AnswerReport) -> bytes:
        delta: Any = {} if self._request.chat else ""
        chunk = self._chunk(
            report,
            delta,
            end={"finish_reason": report.finish_reason, "stop_reason": report.stop_reason},
            tierflow=report.to_json(),
        )
        if self._request.usage:
            chunk += event(
                {
                    **self._object("chunk", report),
                    "choices": [],
                    "usage": self._usage(report),
                }
            )
        return chunk + b"data: [DONE]\n\n"

    def error(self, body: dict[str, Any]) -> bytes:
        return event(body)

    def whole(self, text: str, report: AnswerReport) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": report.finish_reason,
            "stop_reason": report.stop_reason,
            "logprobs": None,
        }
        if self._request.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if self._request.token_ids:
            choice["token_ids"] = report.token_ids
        return {
            **self._object("", report),
            "choices": [choice],
            "usage": self._usage(report),
            "tierflow": report.to_json(),
        }

    def _chunk(
        self,
        report: AnswerReport,
        delta: Any,
        *,
        end: Mapping[str, Any] | None = None,
        token_ids: list[int] | None = None,
        **extra: Any,
    ) -> bytes:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": None}
        choice |= end or {}
        choice["delta" if self._request.chat else "text"] = delta
        if self._request.token_ids and token_ids:
            choice["token_ids"] = token_ids
        return event({**self._object("chunk", report), "choices": [choice], **extra})

    def _object(self, suffix: str, report: AnswerReport) -> dict[str, Any]:
        if self._request.chat:
            name = "chat.completion" + (".chunk" if suffix else "")
        else:
            name = "text_completion"
        return {**self._head, "object": name, "model": report.model}

    def _usage(self, report: AnswerReport) -> dict[str, int]:
        prompt, completion = (
            len(self._request.generation.prompt),
            report.verified_tokens + report.unverified_tokens,
        )
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


def error_body(message: str, kind: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"
