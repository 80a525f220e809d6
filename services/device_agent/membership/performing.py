"""One piece of work: the device's own model answers, piece by piece, within budget and deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from gateway.protocol import work
from services.device_agent.alone import answer_alone
from services.device_agent.answer import Ask, Report
from services.device_agent.api.requests import of_text
from services.device_agent.background_drafting import BackgroundDrafting
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.membership.admission import WorkRefused
from services.device_agent.text import TextModel, TextStream

GATHER_S = 0.02
"""Text of so long goes in one frame, but for the first: each frame costs everybody on its way."""

IN_PLACE_CHARS = 8192
"""A longer prompt is tokenized beside the event loop."""

MOST_PIECE_CHARS = 16_384

Send = Callable[[work.FromDevice], Awaitable[None]]


async def read_prompt(model: TextModel, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Token ids, by the model's chat template. Raises WorkRefused."""

    def encode() -> list[int]:
        return model.encode_chat([of_text(message) for message in messages])

    try:
        if sum(len(str(each.get("content"))) for each in messages) <= IN_PLACE_CHARS:
            return encode()
        return await asyncio.to_thread(encode)
    except Exception as exc:
        # Templates raise what they like, and may quote the messages, which nobody else shall see.
        raise WorkRefused(
            "unable", "messages: this device's chat template can't write them"
        ) from exc


class Performance:
    """`report` tells how far it is. `run` ends in one Finished; the deadline is the caller's."""

    def __init__(
        self, frame: work.Work, model: TextModel, thread: DraftingThread, send: Send
    ) -> None:
        self.report = Report("on-device")
        self.read_s = 0.0
        """From the start to the first tokens."""
        self._frame = frame
        self._model = model
        self._thread = thread
        self._send = send
        self._text = TextStream(model.tokenizer, frame.sampling.stop)
        self._held: list[str] = []
        self._tokens = 0

    async def run(self, prompt: list[int], background: BackgroundDrafting) -> None:
        """Raises DrafterFailed, LinkLost."""
        report, text, loop = self.report, self._text, asyncio.get_running_loop()
        stream = background.drafter.start()
        began, due = loop.time(), 0.0
        try:
            pieces = answer_alone(self._ask(prompt), report, background, stream, self._model)
            async with aclosing(pieces):
                async for piece in pieces:
                    self.read_s = self.read_s or loop.time() - began
                    self._held.append(text.feed(piece.ids))
                    self._tokens += len(piece.ids)
                    if text.stopped is not None:
                        report.reason = "stop"
                        break
                    if loop.time() >= due and await self._tell():
                        due = loop.time() + GATHER_S
        finally:
            self._thread.release(stream)
        self._held.append(text.finish())
        await self._tell()
        await self._send(self._finished(len(prompt)))

    def _ask(self, prompt: list[int]) -> Ask:
        sampling = self._frame.sampling
        return Ask(
            prompt,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=sampling.seed,
            stop=tuple(sampling.stop),
            ignore_eos=sampling.ignore_eos,
        )

    async def _tell(self) -> bool:
        """Send what is certain; tokens that ended in no text yet go with the next."""
        text = "".join(self._held)
        if not text:
            return False
        tokens, self._tokens = self._tokens, 0
        self._held.clear()
        for begin in range(0, len(text), MOST_PIECE_CHARS):
            part = text[begin : begin + MOST_PIECE_CHARS]
            await self._send(work.Piece(self._frame.w, part, tokens))
            tokens = 0
        return True

    def _finished(self, prompt_tokens: int) -> work.Finished:
        report = self.report
        tokens = report.unverified
        mean = min(0.0, report.logprob / tokens) if tokens else None
        return work.Finished(self._frame.w, report.reason, prompt_tokens, tokens, mean)
