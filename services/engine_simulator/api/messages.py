"""/v1/messages and its count of tokens: Anthropic's API, as vLLM serves it."""

from typing import Any

import orjson

from services.engine_simulator.api import chat_template, identity
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.job_response import respond
from services.engine_simulator.api.sampling import check_prompt, limits
from services.engine_simulator.api.schema import (
    CountTokensBody,
    Message,
    MessagesBody,
    SamplingBody,
    parse,
)
from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.engine import Engine, PromptRequest
from services.engine_simulator.errors import EngineError

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


async def messages(engine: Engine, exchange: Exchange) -> None:
    try:
        await _answer(engine, exchange)
    except EngineError as error:
        await exchange.json(error.anthropic_body(), error.status)


async def count_tokens(engine: Engine, exchange: Exchange) -> None:
    try:
        body = parse(CountTokensBody, await exchange.body())
        engine.resolve(body.model)
        tokens = len(chat_template.render(engine.settings, _chat(body)))
        managed = {"original_input_tokens": tokens}
        await exchange.json({"input_tokens": tokens, "context_management": managed})
    except EngineError as error:
        await exchange.json(error.anthropic_body(), error.status)


async def _answer(engine: Engine, exchange: Exchange) -> None:
    body = parse(MessagesBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    prompt = chat_template.render(engine.settings, _chat(body))
    room = engine.settings.max_model_len
    check_prompt(prompt, room)
    sampling = SamplingBody(stop=body.stop_sequences)
    bounds = limits(sampling, body.max_tokens, len(prompt), room)
    job = engine.submit(model, [PromptRequest(prompt=prompt, limits=bounds)], plan)
    await respond(engine, exchange, job, MessageRenderer(model, len(prompt)), bool(body.stream))


def _chat(body: CountTokensBody) -> list[Message]:
    system = [Message(role="system", content=body.system)] if body.system else []
    return [*system, *body.messages]


class MessageRenderer:
    """A message: the whole object, or the events that make it."""

    def __init__(self, model: str, prompt_tokens: int) -> None:
        self._id = identity.new_id("chatcmpl-")
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._texts: list[str] = []
        self._tokens = 0
        self._last: Token | None = None

    def opening(self) -> bytes:
        message = self._message([], None, None)
        block = {"type": "text", "text": ""}
        return _event("message_start", message=message) + _event(
            "content_block_start", index=0, content_block=block
        )

    def token(self, choice: int, token: Token) -> bytes:
        self._note(token)
        if not token.text:
            return b""
        delta = {"type": "text_delta", "text": token.text}
        return _event("content_block_delta", index=0, delta=delta)

    def closing(self) -> bytes:
        reason, sequence = self._end()
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        return (
            _event("content_block_stop", index=0)
            + _event("message_delta", delta=delta, usage=self._usage())
            + _event("message_stop")
        )

    def whole(self, answers: list[list[Token]]) -> object:
        for token in answers[0]:
            self._note(token)
        return self._message([{"type": "text", "text": "".join(self._texts)}], *self._end())

    def _note(self, token: Token) -> None:
        self._texts.append(token.text)
        self._tokens += 1
        self._last = token

    def _end(self) -> tuple[str, str | None]:
        """The stop reason, and the sequence that stopped it."""
        last = self._last
        if last is not None and isinstance(last.stop_reason, str):
            return "stop_sequence", last.stop_reason
        return _STOP_REASONS[(last and last.finish_reason) or "stop"], None

    def _message(
        self, content: list[dict[str, Any]], reason: str | None, sequence: str | None
    ) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "content": content,
            "model": self._model,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": self._usage(),
        }

    def _usage(self) -> dict[str, int]:
        return {"input_tokens": self._prompt_tokens, "output_tokens": self._tokens}


def _event(kind: str, **fields: Any) -> bytes:
    data = orjson.dumps({**fields, "type": kind})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
