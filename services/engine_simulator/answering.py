"""Drives one job to its response: streamed or whole, with the job's faults, until the end or
until the client leaves, which frees the engine at once."""

import asyncio
from typing import Protocol

import orjson

from services.engine_simulator.decoding import Token
from services.engine_simulator.engine import Engine, Job
from services.engine_simulator.faults import FaultPlan
from services.engine_simulator.wire import EVENT_STREAM, JSON, Exchange

_GARBAGE = b'data: {"id":"\xff\xfe,,,\n\n'


class Renderer(Protocol):
    """Tokens to one API's wire format."""

    def opening(self) -> bytes:
        """Events that precede the first token."""

    def token(self, choice: int, token: Token) -> bytes:
        """Events for one token, in order of generation."""

    def closing(self) -> bytes:
        """Events after the last token."""

    def whole(self, answers: list[list[Token]]) -> object:
        """The body of an answer that is not streamed; `answers[i]` are choice i's tokens."""


async def answer(
    engine: Engine, exchange: Exchange, job: Job, renderer: Renderer, stream: bool
) -> None:
    watcher = None
    if not job.mailbox.finished:
        watcher = asyncio.create_task(exchange.disconnected())
        watcher.add_done_callback(lambda _: _abort(engine, job))
    try:
        await (_stream if stream else _whole)(exchange, job, renderer)
    finally:
        if watcher is not None:
            watcher.cancel()
            _abort(engine, job)


def _abort(engine: Engine, job: Job) -> None:
    engine.scheduler.abort(job.generations)
    job.mailbox.abort()


async def _delay(engine_plan: FaultPlan, draw: int) -> None:
    seconds = engine_plan.token_delay_s + engine_plan.token_jitter_s * (draw % 1024) / 1024
    if seconds:
        await asyncio.sleep(seconds)


async def _stream(exchange: Exchange, job: Job, renderer: Renderer) -> None:
    """Like vLLM, sends the headers before there is a token."""
    plan = job.plan
    if not plan.hang_before_first_byte:
        await exchange.start(200, EVENT_STREAM)
    sent, pieces = 0, [renderer.opening()]
    async for batch in job.mailbox.batches():
        for choice, token in batch:
            if plan.close_after_tokens is not None and sent >= plan.close_after_tokens:
                await exchange.write(b"".join(pieces))
                return
            if plan.token_delay_s or plan.token_jitter_s:
                await exchange.write(b"".join(pieces))
                pieces.clear()
                await _delay(plan, token.draw)
            if plan.garbage_after_tokens == sent:
                pieces.append(_GARBAGE)
            pieces.append(renderer.token(choice, token))
            sent += 1
        if not job.mailbox.finished:
            await exchange.write(b"".join(pieces))
            pieces.clear()
    if job.mailbox.aborted:
        return
    pieces.append(renderer.closing())
    await exchange.write(b"".join(pieces), last=True)


async def _whole(exchange: Exchange, job: Job, renderer: Renderer) -> None:
    answers: list[list[Token]] = [[] for _ in job.generations]
    async for batch in job.mailbox.batches():
        for choice, token in batch:
            await _delay(job.plan, token.draw)
            answers[choice].append(token)
    if job.mailbox.aborted:
        return
    body = orjson.dumps(renderer.whole(answers))
    if job.plan.garbage_after_tokens is not None:
        body = _GARBAGE
    if job.plan.close_after_tokens is not None:
        await exchange.start(200, JSON, len(body))
        await exchange.write(body[: len(body) // 2])
        return
    await exchange.reply(body)
