"""/v1/responses: one plain text answer, whole or as the API's typed events. What has been answered
whole is kept, as by an engine whose operator has switched that on."""

from collections.abc import Callable
from typing import Any

import orjson

from services.engine_simulator.api import chat_template, identity, structured_output
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.job_response import respond
from services.engine_simulator.api.sampling import check_prompt, limits
from services.engine_simulator.api.schema import Message, ResponsesBody, SamplingBody, parse
from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.engine import Engine, PromptRequest
from services.engine_simulator.engine.language_model import Context
from services.engine_simulator.errors import EngineError


async def responses(engine: Engine, exchange: Exchange) -> None:
    body = parse(ResponsesBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    if body.previous_response_id is not None:
        _kept(engine, body.previous_response_id)
    prompt = chat_template.render(engine.settings, _messages(body))
    room = engine.settings.max_model_len
    check_prompt(prompt, room)
    bounds = limits(SamplingBody(), body.max_output_tokens, len(prompt), room)
    salt = Context(model=engine.weights(model), prompt=prompt).draw()
    script = structured_output.json_answer((body.text or {}).get("format"), salt)
    job = engine.submit(model, [PromptRequest(prompt=prompt, limits=bounds, script=script)], plan)
    renderer = ResponseRenderer(model, body, len(prompt))
    if body.store:
        renderer.keep = engine.keep
    await respond(engine, exchange, job, renderer, bool(body.stream))


async def stored_response(engine: Engine, exchange: Exchange) -> None:
    await exchange.json(_kept(engine, exchange.path.split("/")[3]))


async def cancel_response(engine: Engine, exchange: Exchange) -> None:
    response = _kept(engine, exchange.path.split("/")[3])
    if response["status"] not in ("queued", "in_progress"):
        raise EngineError(
            "Cannot cancel a synchronous response.",
            kind="invalid_request_error",
            param="response_id",
        )
    response["status"] = "cancelled"
    await exchange.json(response)


def _kept(engine: Engine, response_id: str) -> dict[str, Any]:
    """Raises EngineError (404)."""
    found = engine.responses.get(response_id)
    if found is None:
        raise EngineError(
            f"Response with id '{response_id}' not found.",
            status=404,
            kind="invalid_request_error",
            param="response_id",
        )
    return found


def _messages(body: ResponsesBody) -> list[Message]:
    messages = [Message(role="system", content=body.instructions)] if body.instructions else []
    if isinstance(body.input, str):
        return [*messages, Message(role="user", content=body.input)]
    for item in body.input:
        content = item.get("content")
        text = content if isinstance(content, str | list) else str(item.get("output", ""))
        messages.append(Message(role=str(item.get("role", "user")), content=text))
    return messages


class ResponseRenderer:
    """A response of the Responses API: the whole object, or its typed events."""

    def __init__(self, model: str, body: ResponsesBody, prompt_tokens: int) -> None:
        self._id = identity.new_id("resp_")
        self._item_id = identity.new_id("msg_")
        self._model = model
        self._body = body
        self._created = identity.now()
        self._prompt_tokens = prompt_tokens
        self._sequence = 0
        self._texts: list[str] = []
        self._tokens = 0
        self._finish_reason: str | None = None
        self.keep: Callable[[dict[str, Any]], None] | None = None

    def opening(self) -> bytes:
        started = self._response("in_progress", [])
        item = {**self._item("in_progress"), "content": []}
        return b"".join(
            (
                self._event("response.created", response=started),
                self._event("response.in_progress", response=started),
                self._event("response.output_item.added", item=item, output_index=0),
                self._event("response.content_part.added", **self._place(), part=self._part("")),
            )
        )

    def token(self, choice: int, token: Token) -> bytes:
        self._note(token)
        if not token.text:
            return b""
        delta = {"delta": token.text, "logprobs": []}
        return self._event("response.output_text.delta", **self._place(), **delta)

    def closing(self) -> bytes:
        text = "".join(self._texts)
        item = self._item("completed")
        status = self._status()
        name = "response.completed"
        return b"".join(
            (
                self._event("response.output_text.done", **self._place(), logprobs=[], text=text),
                self._event("response.content_part.done", **self._place(), part=self._part(text)),
                self._event("response.output_item.done", item=item, output_index=0),
                self._event(name, response=self._response(status, [item])),
            )
        )

    def whole(self, answers: list[list[Token]]) -> object:
        for token in answers[0]:
            self._note(token)
        response = self._response(self._status(), [self._item("completed")])
        if self._body.background:
            # Its end is not simulated: it runs until it is cancelled.
            response |= {"status": "queued", "output": [], "background": True}
        if self.keep is not None:
            self.keep(response)
        return response

    def _note(self, token: Token) -> None:
        self._texts.append(token.text)
        self._tokens += 1
        self._finish_reason = token.finish_reason

    def _status(self) -> str:
        return "incomplete" if self._finish_reason == "length" else "completed"

    def _event(self, kind: str, **fields: Any) -> bytes:
        payload = {**fields, "sequence_number": self._sequence, "type": kind}
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(payload) + b"\n\n"

    def _place(self) -> dict[str, Any]:
        return {"content_index": 0, "item_id": self._item_id, "output_index": 0}

    def _part(self, text: str) -> dict[str, Any]:
        return {"annotations": [], "text": text, "type": "output_text", "logprobs": None}

    def _item(self, status: str) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "content": [self._part("".join(self._texts))],
            "role": "assistant",
            "status": status,
            "type": "message",
            "phase": None,
        }

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self._prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self._tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self._prompt_tokens + self._tokens,
        }

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        body = self._body
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            "id": self._id,
            "created_at": self._created,
            "incomplete_details": cut,
            "instructions": body.instructions,
            "metadata": body.metadata,
            "model": self._model,
            "object": "response",
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0 if body.temperature is None else body.temperature,
            "tool_choice": "none",
            "tools": body.tools or [],
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "background": False,
            "max_output_tokens": body.max_output_tokens,
            "max_tool_calls": None,
            "previous_response_id": None,
            "prompt": None,
            "reasoning": None,
            "service_tier": "auto",
            "status": status,
            "text": None,
            "top_logprobs": None,
            "truncation": "disabled",
            "usage": self._usage() if self._finish_reason else None,
            "user": None,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "input_messages": None,
            "output_messages": None,
        }
