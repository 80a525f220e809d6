"""One piece of work: an answer of the device's own model, sent as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from gateway.protocol.device_link import work
from services.device_agent.answers.answer import AnswerReport, GenerationRequest
from services.device_agent.answers.local_answer import local_answer
from services.device_agent.background_drafting import BackgroundDrafting
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.membership.admission import WorkRefused
from services.device_agent.text import TextModel, TextStream

FRAME_S = 0.02
"""Text of so long goes in one frame, but for the first: each frame costs everybody on its way."""

IN_PLACE_CHARS = 8192
"""A longer prompt is tokenized in a thread."""

MAX_PIECE_CHARS = 16_384

Send = Callable[[work.FromDevice], Awaitable[None]]


async def read_prompt(model: TextModel, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Token ids, by the model's chat template. Raises WorkRefused."""

    def encode() -> list[int]:
        return model.encode_chat(messages)

    try:
        if sum(len(str(message.get("content"))) for message in messages) <= IN_PLACE_CHARS:
            return encode()
        return await asyncio.to_thread(encode)
    except Exception as exc:
        # Templates raise any exception, and may quote the messages, which must stay private.
        raise WorkRefused(
            "unable", "messages: the chat template of this device's model refuses them"
        ) from exc


class WorkItem:
    """A piece of work in progress. Its deadline is the caller's to keep.

    `report` grows with the answer. `read_s` is the time from the start to the first tokens.
    """

    def __init__(
        self, *, frame: work.Work, model: TextModel, thread: DraftingThread, send: Send
    ) -> None:
        self.report = AnswerReport(placement="on-device")
        self.read_s = 0.0
        self._frame = frame
        self._model = model
        self._thread = thread
        self._send = send
        self._text = TextStream(model.tokenizer, frame.sampling.stop)
        self._unsent: list[str] = []
        self._unsent_tokens = 0

    async def run(self, prompt: list[int], background: BackgroundDrafting) -> None:
        """Sends the answer's pieces and, at the end, Finished. Raises DrafterFailed, LinkLost."""
        report, text, loop = self.report, self._text, asyncio.get_running_loop()
        request = GenerationRequest(prompt=prompt, sampling=self._frame.sampling)
        stream = background.drafter.start()
        started, due = loop.time(), 0.0
        try:
            pieces = local_answer(request, report, background, stream, self._model)
            async with aclosing(pieces):
                async for piece in pieces:
                    self.read_s = self.read_s or loop.time() - started
                    self._unsent.append(text.feed(piece.token_ids))
                    self._unsent_tokens += len(piece.token_ids)
                    if text.stopped is not None:
                        report.finish_reason = "stop"
                        break
                    if loop.time() >= due and await self._send_text():
                        due = loop.time() + FRAME_S
        finally:
            self._thread.release(stream)
        self._unsent.append(text.finish())
        await self._send_text()
        await self._send(self._finished(len(prompt)))

    async def _send_text(self) -> bool:
        """Send what is there; tokens that made no text yet go with the next."""
        text = "".join(self._unsent)
        if not text:
            return False
        tokens, self._unsent_tokens = self._unsent_tokens, 0
        self._unsent.clear()
        for begin in range(0, len(text), MAX_PIECE_CHARS):
            part = text[begin : begin + MAX_PIECE_CHARS]
            await self._send(work.Piece(self._frame.w, part, tokens))
            tokens = 0
        return True

    def _finished(self, prompt_tokens: int) -> work.Finished:
        report = self.report
        tokens = report.unverified_tokens
        mean = min(0.0, report.logprob / tokens) if tokens else None
        return work.Finished(
            w=self._frame.w,
            reason=report.finish_reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=tokens,
            logprob=mean,
        )
