"""pydantic-ai: an agent, whose output comes by a tool or by a JSON schema."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.programs.case import PIECES, Answer, Case, answer_cases


class Verdict(BaseModel):
    """A verdict"""

    verdict: Literal["right", "wrong"]


class LookUp(BaseModel):
    """Looks a word up"""

    word: Literal["river", "bridge"]
    exact: bool


def agent(case: Case, output: Any = str, **more: Any) -> Agent[None, Any]:
    provider = OpenAIProvider(base_url=case.v1, api_key=case.key)
    settings: Any = {"max_tokens": case.max_tokens, "temperature": 0, **more}
    model = OpenAIChatModel(case.model, provider=provider, settings=settings)
    return Agent(model, output_type=output, retries=0)


def finish(run: Any) -> Any:
    return run.all_messages()[-1].finish_reason


def usage(run: Any) -> list[int]:
    counted = run.usage
    return [counted.input_tokens, counted.output_tokens]


def plain(case: Case) -> Answer:
    run = agent(case).run_sync(case.question)
    return {"text": run.output, "finish": finish(run), "usage": usage(run)}


def stream(case: Case) -> Answer:
    async def ask() -> Answer:
        async with agent(case).run_stream(case.question) as run:
            parts = [part async for part in run.stream_text(delta=True, debounce_by=None)]
            return {"text": "".join(parts), "finish": finish(run), "usage": usage(run)}

    return asyncio.run(ask())


def tool(case: Case) -> Answer:
    output = ToolOutput(LookUp, name=case.tool["name"], strict=True)
    run = agent(case, output, frequency_penalty=case.penalty).run_sync(case.question)
    return {"tool": [case.tool["name"], run.output.model_dump()]}


def structured(case: Case) -> Answer:
    output = NativeOutput(Verdict, strict=True)
    run = agent(case, output, frequency_penalty=case.penalty).run_sync(case.question)
    return {"value": run.output.model_dump()}


def cancel(case: Case) -> Answer:
    async def ask() -> Answer:
        read = 0
        async with agent(case, extra_body=case.endless).run_stream(case.question) as run:
            async for _ in run.stream_text(delta=True, debounce_by=None):
                read += 1
                if read == PIECES:
                    break
        return {"pieces": read}

    return asyncio.run(ask())


if __name__ == "__main__":
    answer_cases(
        {
            "plain": plain,
            "stream": stream,
            "tool": tool,
            "structured": structured,
            "cancel": cancel,
        }
    )
