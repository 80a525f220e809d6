"""/v1/completions: checks a request, puts its prompts into the engine and writes the answer."""

from typing import Any

from services.engine_simulator.api import identity, logprobs, structured_output
from services.engine_simulator.api.answer_renderer import AnswerRenderer
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.job_response import respond
from services.engine_simulator.api.prompts import as_prompts
from services.engine_simulator.api.sampling import check_prompt, check_sampling, limits
from services.engine_simulator.api.schema import CompletionBody, parse
from services.engine_simulator.engine.decoding import Token
from services.engine_simulator.engine.engine import Engine, PromptRequest
from services.engine_simulator.engine.language_model import Context
from services.engine_simulator.engine.tokenizer import decode


async def completions(engine: Engine, exchange: Exchange) -> None:
    body = parse(CompletionBody, await exchange.body())
    plan = engine.admit()
    model = engine.resolve(body.model)
    weights = engine.weights(model)
    n = check_sampling(body)
    prompts = as_prompts(body.prompt)
    room = engine.settings.max_model_len
    requests = []
    for prompt in prompts:
        check_prompt(prompt, room)
        bounds = limits(body, body.max_tokens, len(prompt), room)
        salt = Context(model=weights, seed=body.seed, prompt=prompt).draw()
        script = structured_output.json_answer(body.response_format, salt)
        requests.append(
            PromptRequest(prompt=prompt, limits=bounds, n=n, seed=body.seed, script=script)
        )
    job = engine.submit(model, requests, plan)
    request_id = identity.new_id("cmpl-", exchange.header(b"x-request-id"))
    renderer = CompletionRenderer(
        request_id=request_id, model=model, weights=weights, body=body, prompts=prompts, n=n
    )
    await respond(engine, exchange, job, renderer, bool(body.stream))


class CompletionRenderer(AnswerRenderer):
    """A text completion in vLLM's field order: the whole answer, or the chunks of a stream.

    Choice `i` answers prompt `i // n`.
    """

    def __init__(
        self,
        *,
        request_id: str,
        model: str,
        weights: str,
        body: CompletionBody,
        prompts: list[list[int]],
        n: int,
    ) -> None:
        super().__init__(
            request_id=request_id,
            model=model,
            body_kind="text_completion",
            chunk_kind="text_completion",
            options=body.stream_options,
            prompt_tokens=sum(map(len, prompts)),
            choices=n * len(prompts),
        )
        self._weights = weights
        self._body = body
        self._prompts = prompts
        self._n = n
        self._lengths = [0] * (n * len(prompts))

    def opening(self) -> bytes:
        return b""

    def token(self, choice: int, token: Token) -> bytes:
        prompt = self._prompts[choice // self._n]
        first = self._counts[choice] == 0
        self._counts[choice] += 1
        echoed = decode(prompt) if first and self._body.echo else ""
        entry = {
            "index": choice,
            "text": echoed + token.text,
            "logprobs": self._logprobs([token], prompt, self._lengths[choice], first),
            "finish_reason": token.finish_reason,
            "stop_reason": token.stop_reason,
            "prompt_token_ids": prompt if first and self._body.return_token_ids else None,
            "token_ids": [token.id] if self._body.return_token_ids else None,
        }
        self._lengths[choice] += len(echoed) + len(token.text)
        return self._token_event(
            entry,
            last=token.finish_reason is not None,
            prompt_tokens=len(prompt),
            completion_tokens=self._counts[choice],
        )

    def whole(self, answers: list[list[Token]]) -> object:
        choices = [self._choice(index, tokens) for index, tokens in enumerate(answers)]
        return {
            **self._answer(choices, sum(map(len, answers))),
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }

    def _choice(self, index: int, tokens: list[Token]) -> dict[str, Any]:
        prompt = self._prompts[index // self._n]
        top = self._body.prompt_logprobs
        if top is None and self._body.echo:
            top = self._body.logprobs
        text = "".join(token.text for token in tokens)
        ids = self._body.return_token_ids
        return {
            "index": index,
            "text": decode(prompt) + text if self._body.echo else text,
            "logprobs": self._logprobs(tokens, prompt, 0, True),
            "finish_reason": tokens[-1].finish_reason,
            "stop_reason": tokens[-1].stop_reason,
            "token_ids": [token.id for token in tokens] if ids else None,
            "prompt_logprobs": None if top is None else self._rows(prompt, top),
            "prompt_token_ids": prompt if ids else None,
            "routed_experts": None,
        }

    def _rows(self, prompt: list[int], top: int) -> list[dict[str, dict[str, Any]] | None]:
        context = Context(model=self._weights, seed=self._body.seed)
        return logprobs.prompt_logprobs(context, prompt, top)

    def _logprobs(
        self, tokens: list[Token], prompt: list[int], offset: int, first: bool
    ) -> dict[str, Any] | None:
        top = self._body.logprobs
        if top is None:
            return None
        if self._body.echo and first:
            return logprobs.for_completion(tokens, top, offset, self._rows(prompt, top), prompt)
        return logprobs.for_completion(tokens, top, offset)
