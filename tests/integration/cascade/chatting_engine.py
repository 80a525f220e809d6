"""A speculating engine that chats as well: known questions have known answers.

A token is a byte of the answer's UTF-8, so letters may take several; the last one ends it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration.speculating_engine import MAX_MODEL_LEN, SpeculatingEngine, _send

END = 256
SURE, DOUBTFUL = -0.001, -3.0


def ids_of(text: str) -> list[int]:
    return [*text.encode(), END]


def text_of(ids: list[int]) -> str:
    """Without a letter that is not complete yet."""
    return bytes(token for token in ids if token < END).decode(errors="ignore")


@dataclass
class ChattingEngine(SpeculatingEngine):
    """`replies`: question -> answer. `doubts`: places of the tokens that it is unsure of.

    `chat_refuses`: chat completions answer with this status. `chats` are their bodies. Streamed
    ones wait at the gate with so many tokens sent as `holds_after` says.
    """

    replies: dict[str, str] = field(default_factory=dict)
    doubts: set[int] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)
    chat_refuses: int | None = None
    chats: list[dict[str, Any]] = field(default_factory=list)
    holds_after: int = 0

    def answer(self, body: dict[str, Any]) -> tuple[list[int], str, str | None]:
        """The rest of the reply after what the prompt holds of it already."""
        prompt, most = body["prompt"], body.get("max_tokens") or MAX_MODEL_LEN
        for question, reply in self.replies.items():
            question_ids = self.encode(question)
            if prompt[: len(question_ids)] == question_ids:
                begun, whole = prompt[len(question_ids) :], ids_of(reply)
                rest = whole[len(begun) :] if whole[: len(begun)] == begun else ids_of("!")
                return rest[:most], "stop" if len(rest) <= most else "length", None
        raise AssertionError("nobody foresaw this question")

    def written(self, before: list[int], ids: list[int]) -> str:
        return text_of([*before, *ids])[len(text_of(before)) :]

    def further_routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self._chat)]

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.chats.append(body)
        if self.chat_refuses is not None:
            return web.json_response({"error": {"message": "no"}}, status=self.chat_refuses)
        messages = body["messages"]
        begun = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
        question = "".join(message["content"] for message in messages)
        whole = ids_of(self.replies[question])
        ids = whole[len(begun.encode()) :][: body.get("max_tokens") or None]
        reason = "stop" if ids[-1] == END else "length"
        if not body.get("stream"):
            return self._whole(body, ids, reason)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self.running += 1
        try:
            await self._stream(body, response, request, ids, reason)
        except (ConnectionError, asyncio.CancelledError):
            self.aborted += 1
            raise
        finally:
            self.running -= 1
        return response

    def _whole(self, body: dict[str, Any], ids: list[int], reason: str) -> web.Response:
        texts = self.samples or [text_of(ids)]
        texts = texts[: body["n"]] if body.get("n") else [text_of(ids)]
        choices = [
            {
                "index": place,
                "message": {"role": "assistant", "content": text},
                "logprobs": self._logprobs(ids, 0),
                "finish_reason": reason,
                "token_ids": ids,
            }
            for place, text in enumerate(texts)
        ]
        return web.json_response(
            {
                "id": "chatcmpl-engine",
                "object": "chat.completion",
                "created": 7,
                "model": self.model,
                "choices": choices,
                "usage": {"prompt_tokens": 5, "completion_tokens": len(ids) * len(choices)},
                "prompt_token_ids": [1, 2, 3],
            }
        )

    async def _stream(
        self,
        body: dict[str, Any],
        response: web.StreamResponse,
        request: web.Request,
        ids: list[int],
        reason: str,
    ) -> None:
        frame = {"id": "chatcmpl-engine", "object": "chat.completion.chunk", "model": self.model}
        opening = {"index": 0, "delta": {"role": "assistant", "content": ""}}
        beginning = {"prompt_token_ids": [1, 2, 3, 4, 5]} if body.get("return_token_ids") else {}
        await _send(response, {**frame, "choices": [opening], **beginning})
        for place, token in enumerate(ids):
            await asyncio.sleep(self.step_s)
            while place >= self.holds_after and not self.gate.is_set():
                if request.transport is None or request.transport.is_closing():
                    raise ConnectionError
                await asyncio.sleep(self.step_s)
            choice = {
                "index": 0,
                "delta": {"content": self.written(ids[:place], [token])},
                "logprobs": self._logprobs([token], place),
                "token_ids": [token],
                "finish_reason": reason if place + 1 == len(ids) else None,
            }
            await _send(response, {**frame, "choices": [choice]})
            if self.breaks_after is not None and place + 1 >= self.breaks_after:
                assert request.transport is not None
                request.transport.abort()
                return
        usage = {"prompt_tokens": 5, "completion_tokens": len(ids)}
        await _send(response, {**frame, "choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")

    def _logprobs(self, ids: list[int], start: int) -> dict[str, Any]:
        return {
            "content": [
                {"token": "", "logprob": DOUBTFUL if place in self.doubts else SURE}
                for place in range(start, start + len(ids))
            ]
        }
