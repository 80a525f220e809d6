"""The part of vLLM's HTTP API that the gateway needs of a verifier."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool
from transformers import AutoTokenizer

from tests.reference_verifier.engine import Engine, Job


def build(engine: Engine, folder: str, name: str) -> FastAPI:
    """`folder` holds the tokenizer; the model is served as `name`."""
    app, tokenizer = FastAPI(), AutoTokenizer.from_pretrained(folder)

    @app.get("/health")
    def health() -> PlainTextResponse:
        return PlainTextResponse("")

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        model = {"id": name, "object": "model", "max_model_len": engine.model.context}
        return {"object": "list", "data": [model]}

    @app.get("/metrics")
    def metrics() -> PlainTextResponse:
        series = {
            "vllm:num_requests_running": engine.running,
            "vllm:num_requests_waiting": 0,
            "vllm:iteration_tokens_total_count": engine.steps,
        }
        return PlainTextResponse("".join(f"{key} {value}\n" for key, value in series.items()))

    @app.post("/tokenize")
    async def tokenize(request: Request) -> dict[str, Any]:
        asked = await request.json()
        if "messages" in asked:
            text = tokenizer.apply_chat_template(
                asked["messages"], tokenize=False, add_generation_prompt=True
            )
            tokens = tokenizer.encode(text, add_special_tokens=False)
        else:
            tokens = tokenizer.encode(asked["prompt"])
        return {"count": len(tokens), "max_model_len": engine.model.context, "tokens": tokens}

    @app.post("/v1/completions", response_model=None)
    async def completions(request: Request) -> StreamingResponse | JSONResponse:
        asked = await request.json()
        prompt = asked["prompt"]
        if isinstance(prompt, str):
            prompt = tokenizer.encode(prompt)
        if not asked.get("stream") or max(prompt) >= engine.model.vocabulary:
            message = "only streams, and only ids of the vocabulary"
            return JSONResponse({"error": {"message": message, "code": 400}}, 400)
        events = _events(engine, tokenizer, name, _job(asked, prompt), asked.get("stop") or [])
        return StreamingResponse(_until_left(events), media_type="text/event-stream")

    return app


def _job(asked: dict[str, Any], prompt: list[int]) -> Job:
    def given(field: str, otherwise: Any) -> Any:
        return otherwise if asked.get(field) is None else asked[field]

    return Job(
        prompt=prompt,
        max_tokens=given("max_tokens", 16),
        session=given("vllm_xargs", {}).get("draft_session"),
        temperature=given("temperature", 1.0),
        top_k=given("top_k", 0),
        top_p=given("top_p", 1.0),
        seed=given("seed", None),
        ignore_eos=given("ignore_eos", False),
    )


async def _until_left(events: Generator[str, None, None]) -> AsyncIterator[str]:
    """Ends the request at once when its client leaves, so that the next one has its turn."""
    try:
        async for event in iterate_in_threadpool(events):
            yield event
    finally:
        events.close()


def _events(
    engine: Engine, tokenizer: Any, name: str, job: Job, stop: str | list[str]
) -> Generator[str, None, None]:
    stops = [stop] if isinstance(stop, str) else stop
    ids: list[int] = []
    sent, found = "", None
    for new in engine.run(job):
        ids += new
        text = tokenizer.decode(ids, skip_special_tokens=True)
        found = next((word for word in stops if word in text), None)
        if found is not None:
            text = text[: text.index(found)]
        yield _event(name, _choice(text[len(sent) :], new, None, None))
        sent = text
        if found is not None:
            break
    ended = found is not None or (not job.ignore_eos and ids and ids[-1] in engine.model.end_ids)
    yield _event(name, _choice("", [], "stop" if ended else "length", found))
    usage = {"prompt_tokens": len(job.prompt), "completion_tokens": len(ids)}
    usage["total_tokens"] = sum(usage.values())
    yield _event(name, None, usage)
    yield "data: [DONE]\n\n"


def _choice(text: str, ids: list[int], reason: str | None, stop: str | None) -> dict[str, Any]:
    return {
        "index": 0,
        "text": text,
        "token_ids": ids,
        "logprobs": None,
        "finish_reason": reason,
        "stop_reason": stop,
    }


def _event(name: str, choice: dict[str, Any] | None, usage: dict[str, int] | None = None) -> str:
    chunk = {
        "id": "cmpl-reference",
        "object": "text_completion",
        "created": 0,
        "model": name,
        "choices": [] if choice is None else [choice],
        "usage": usage,
    }
    return f"data: {json.dumps(chunk)}\n\n"
