"""The response to one job: streamed or whole, with the job's faults.

A client that leaves ends it, which frees the engine at once.
"""

import asyncio
from typing import Protocol

import orjson

from services.engine_simulator.api.exchange import DONE, EVENT_STREAM, JSON, Exchange, event
from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.engine import Engine, Job
from services.engine_simulator.engine.faults import FaultPlan
from services.engine_simulator.errors import EngineError

_GARBAGE = b'data: {"id":"\xff\xfe,,,\n\n'
_FAILURE = EngineError(
    "EngineCore encountered an issue.", status=500, kind="InternalServerError"
).body()


class Renderer(Protocol):
    """The writer of one answer in the wire format of one API."""

    def opening(self) -> bytes:
        """Events that precede the first token."""

    def token(self, choice: int, token: Token) -> bytes:
        """Events for one token, in order of generation."""

    def closing(self) -> bytes:
        """Events after the last token."""

    def whole(self, answers: list[list[Token]]) -> object:
        """The body of an answer that is not streamed; `answers[i]` are choice i's tokens."""


async def respond(
    engine: Engine, exchange: Exchange, job: Job, renderer: Renderer, stream: bool
) -> None:
    if job.plan.empty:
        _abort(engine, job)
        await (exchange.reply(b"", content_type=EVENT_STREAM) if stream else exchange.json({}))
        return
    watcher = None
    if not job.tokens.finished:
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
    job.tokens.abort()


async def _delay(plan: FaultPlan, draw: int) -> None:
    seconds = plan.token_delay_s + plan.token_jitter_s * (draw % 1024) / 1024
    if seconds:
        await asyncio.sleep(seconds)


async def _stream(exchange: Exchange, job: Job, renderer: Renderer) -> None:
    """Like vLLM, sends the headers before there is a token."""
    plan = job.plan
    if not plan.hang_before_first_byte:
        await exchange.start(200, EVENT_STREAM)
    sent, pieces = 0, [renderer.opening()]
    async for batch in job.tokens.batches():
        for choice, token in batch:
            if plan.breaks_at(sent):
                await _break(exchange, plan, pieces, renderer.token(choice, token))
                return
            if plan.token_delay_s or plan.token_jitter_s:
                await exchange.write(b"".join(pieces))
                pieces.clear()
                await _delay(plan, token.draw)
            if plan.garbage_after_tokens == sent:
                pieces.append(_GARBAGE)
            pieces.append(renderer.token(choice, token))
            sent += 1
        if not job.tokens.finished:
            await exchange.write(b"".join(pieces))
            pieces.clear()
    if job.tokens.aborted:
        return
    pieces.append(renderer.closing())
    await exchange.write(b"".join(pieces), last=True)


async def _break(
    exchange: Exchange, plan: FaultPlan, pieces: list[bytes], following: bytes
) -> None:
    """Sends what is due, and then what the fault says in place of the event that follows."""
    if plan.error_event_after_tokens is not None:
        # As vLLM ends the streams of an engine that has died; before a token there is no opening.
        due = pieces if plan.error_event_after_tokens else []
        await exchange.write(b"".join([*due, event(_FAILURE), DONE]), last=True)
        return
    half = following[: len(following) // 2] if plan.half_event_after_tokens is not None else b""
    await exchange.write(b"".join([*pieces, half]))


async def _whole(exchange: Exchange, job: Job, renderer: Renderer) -> None:
    answers: list[list[Token]] = [[] for _ in job.generations]
    async for batch in job.tokens.batches():
        for choice, token in batch:
            await _delay(job.plan, token.draw)
            answers[choice].append(token)
    if job.tokens.aborted:
        return
    body = orjson.dumps(renderer.whole(answers))
    if job.plan.garbage_after_tokens is not None:
        body = _GARBAGE
    if job.plan.breaks_at(sum(map(len, answers))):
        await exchange.start(200, JSON, len(body))
        await exchange.write(body[: len(body) // 2])
        return
    await exchange.reply(body)
