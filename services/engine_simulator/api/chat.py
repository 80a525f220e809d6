"""/v1/chat/completions: checks a request, puts it into the engine and writes the answer."""

from typing import Any

from services.engine_simulator.api import chat_template, identity, logprobs, structured_output
from services.engine_simulator.api.answer_renderer import AnswerRenderer
from services.engine_simulator.api.exchange import Exchange, event
from services.engine_simulator.api.job_response import respond
from services.engine_simulator.api.sampling import check_prompt, check_sampling, limits
from services.engine_simulator.api.schema import ChatBatchBody, ChatBody, parse
from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.engine import Engine, PromptRequest
from services.engine_simulator.engine.language_model import Context
from services.engine_simulator.errors import invalid

_MAX_LOGPROBS = 20


async def chat_completions(engine: Engine, exchange: Exchange) -> None:
    body = parse(ChatBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    weights = engine.weights(model)
    n = check_sampling(body)
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
    if body.top_logprobs and not 0 <= body.top_logprobs <= _MAX_LOGPROBS:
        raise invalid("top_logprobs", f"at most {_MAX_LOGPROBS} are served.", body.top_logprobs)
    prompt = chat_template.render(engine.settings, body.messages)
    check_prompt(prompt, engine.settings.max_model_len)
    max_tokens = body.max_completion_tokens
    if max_tokens is None:
        max_tokens = body.max_tokens
    bounds = limits(body, max_tokens, len(prompt), engine.settings.max_model_len)
    salt = Context(model=weights, seed=body.seed, prompt=prompt).draw()
    call = structured_output.tool_call(body, salt)
    script = call[1] if call else structured_output.json_answer(body.response_format, salt)
    request = PromptRequest(prompt=prompt, limits=bounds, n=n, seed=body.seed, script=script)
    job = engine.submit(model, [request], plan)
    request_id = identity.new_id("chatcmpl-", exchange.header(b"x-request-id"))
    renderer = ChatRenderer(
        request_id=request_id,
        model=model,
        weights=weights,
        body=body,
        prompt=prompt,
        n=n,
        function=call[0] if call else None,
    )
    await respond(engine, exchange, job, renderer, bool(body.stream))


async def chat_batch(engine: Engine, exchange: Exchange) -> None:
    """Several chats, each of which gets one choice of the answer."""
    body = parse(ChatBatchBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    weights = engine.weights(model)
    room = engine.settings.max_model_len
    max_tokens = body.max_completion_tokens or body.max_tokens
    prompts = [chat_template.render(engine.settings, chat) for chat in body.messages]
    for prompt in prompts:
        check_prompt(prompt, room)
    requests = [
        PromptRequest(
            prompt=prompt, limits=limits(body, max_tokens, len(prompt), room), seed=body.seed
        )
        for prompt in prompts
    ]
    renderer = ChatRenderer(
        request_id=identity.new_id("chatcmpl-", exchange.header(b"x-request-id")),
        model=model,
        weights=weights,
        body=body,
        prompt=[id for prompt in prompts for id in prompt],
        n=len(prompts),
        function=None,
    )
    await respond(engine, exchange, engine.submit(model, requests, plan), renderer, stream=False)


class ChatRenderer(AnswerRenderer):
    """A chat completion in vLLM's field order: the whole answer, or the chunks of a stream.

    `function` is the name of the function that the answer calls; None: it is text.
    """

    def __init__(
        self,
        *,
        request_id: str,
        model: str,
        weights: str,
        body: ChatBody,
        prompt: list[int],
        n: int,
        function: str | None,
    ) -> None:
        super().__init__(
            request_id=request_id,
            model=model,
            body_kind="chat.completion",
            chunk_kind="chat.completion.chunk",
            options=body.stream_options,
            prompt_tokens=len(prompt),
            choices=n,
        )
        self._weights = weights
        self._body = body
        self._prompt = prompt
        self._n = n
        self._function = function
        self._named = isinstance(body.tool_choice, dict)

    def opening(self) -> bytes:
        return b"".join(self._role(choice) for choice in range(self._n))

    def token(self, choice: int, token: Token) -> bytes:
        self._counts[choice] += 1
        entry: dict[str, Any] = {
            "index": choice,
            "delta": self._delta(choice, token),
            "logprobs": self._logprobs([token]),
            "finish_reason": None,
        }
        if token.finish_reason is not None:
            entry["finish_reason"] = self._finish_reason(token)
            entry["stop_reason"] = token.stop_reason
        entry["token_ids"] = [token.id] if self._body.return_token_ids else None
        return self._token_event(
            entry,
            last=token.finish_reason is not None,
            prompt_tokens=len(self._prompt),
            completion_tokens=self._counts[choice],
        )

    def whole(self, answers: list[list[Token]]) -> object:
        choices = [self._choice(index, tokens) for index, tokens in enumerate(answers)]
        return {
            **self._answer(choices, sum(map(len, answers))),
            "prompt_logprobs": self._prompt_logprobs(),
            "prompt_token_ids": self._prompt if self._body.return_token_ids else None,
            "prompt_text": None,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }

    def _role(self, choice: int) -> bytes:
        delta = {"role": "assistant", "content": ""}
        entry = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": None}
        chunk = self._chunk([entry])
        self._add_running_usage(chunk, len(self._prompt), 0)
        chunk["prompt_token_ids"] = self._prompt if self._body.return_token_ids else None
        chunk["prompt_text"] = None
        return event(chunk)

    def _delta(self, choice: int, token: Token) -> dict[str, Any]:
        if self._function is None:
            return {"content": token.text} if token.text else {}
        call: dict[str, Any] = {"index": 0, "function": {"arguments": token.text}}
        if self._counts[choice] == 1:
            call = {
                "id": identity.new_id("chatcmpl-tool-"),
                "type": "function",
                "index": 0,
                "function": {"name": self._function, "arguments": token.text},
            }
        return {"tool_calls": [call]} if token.text or self._counts[choice] == 1 else {}

    def _logprobs(self, tokens: list[Token]) -> dict[str, Any] | None:
        return (
            logprobs.for_chat(tokens, self._body.top_logprobs or 0) if self._body.logprobs else None
        )

    def _finish_reason(self, token: Token) -> str | None:
        if self._function is not None and not self._named and token.finish_reason == "stop":
            return "tool_calls"
        return token.finish_reason

    def _choice(self, index: int, tokens: list[Token]) -> dict[str, Any]:
        text = "".join(token.text for token in tokens)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if self._function is None else "",
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
        }
        if self._function is not None:
            function = {"name": self._function, "arguments": text}
            call_id = identity.new_id("chatcmpl-tool-")
            message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
        return {
            "index": index,
            "message": {**message, "reasoning": None},
            "logprobs": self._logprobs(tokens),
            "finish_reason": self._finish_reason(tokens[-1]),
            "stop_reason": tokens[-1].stop_reason,
            "token_ids": [token.id for token in tokens] if self._body.return_token_ids else None,
            "routed_experts": None,
        }

    def _prompt_logprobs(self) -> object:
        if self._body.prompt_logprobs is None:
            return None
        context = Context(model=self._weights, seed=self._body.seed)
        return logprobs.prompt_logprobs(context, self._prompt, self._body.prompt_logprobs)
