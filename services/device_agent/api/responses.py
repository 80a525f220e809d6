"""Answers in the shape of the OpenAI API: bodies, and the chunks of a stream."""

from __future__ import annotations

import time
import uuid
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
            "model": request.model,
        }

    def first(self) -> bytes:
        """The chunk before any text; empty but for chats."""
        if not self._request.chat:
            return b""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str, piece: AnswerPiece | None) -> bytes:
        extra: dict[str, Any] = {}
        if piece is not None and self._request.marks:
            extra["tierflow"] = {"by": piece.origins}
        token_ids = piece.token_ids if piece is not None else []
        return self._chunk(
            {"content": text} if self._request.chat else text, token_ids=token_ids, **extra
        )

    def last(self, report: AnswerReport) -> bytes:
        delta: Any = {} if self._request.chat else ""
        chunk = self._chunk(delta, finish=report.finish_reason, tierflow=report.to_json())
        if self._request.usage:
            chunk += event(
                {
                    **self._object("chunk"),
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
            "logprobs": None,
        }
        if self._request.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if self._request.token_ids:
            choice["token_ids"] = report.token_ids
        return {
            **self._object(""),
            "choices": [choice],
            "usage": self._usage(report),
            "tierflow": report.to_json(),
        }

    def _chunk(
        self,
        delta: Any,
        finish: str | None = None,
        token_ids: list[int] | None = None,
        **extra: Any,
    ) -> bytes:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish}
        choice["delta" if self._request.chat else "text"] = delta
        if self._request.token_ids and token_ids:
            choice["token_ids"] = token_ids
        return event({**self._object("chunk"), "choices": [choice], **extra})

    def _object(self, suffix: str) -> dict[str, Any]:
        if self._request.chat:
            name = "chat.completion" + (".chunk" if suffix else "")
        else:
            name = "text_completion"
        return {**self._head, "object": name}

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
