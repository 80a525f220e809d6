"""instructor: pydantic models out of tool calls and JSON schemas, whole and in pieces."""

from __future__ import annotations

from typing import Any, Literal

import instructor
from openai import OpenAI
from pydantic import BaseModel

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


class Verdict(BaseModel):
    """A verdict"""

    verdict: Literal["right", "wrong"]


class LookUp(BaseModel):
    """Looks a word up"""

    word: Literal["river", "bridge"]
    exact: bool


def create(case: Case, mode: instructor.Mode, shape: Any, **fields: Any) -> Any:
    plain_client = OpenAI(base_url=case.v1, api_key=case.key, max_retries=0)
    client = instructor.from_openai(plain_client, mode=mode)
    return client.create(
        model=case.model,
        messages=case.messages,
        response_model=shape,
        max_tokens=case.max_tokens,
        temperature=0,
        frequency_penalty=case.penalty,
        max_retries=1,
        **fields,
    )


def plain(case: Case) -> Answer:
    answer = create(case, instructor.Mode.JSON_SCHEMA, None)
    choice = answer.choices[0]
    usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": usage}


def stream(case: Case) -> Answer:
    parts = create(case, instructor.Mode.JSON_SCHEMA, instructor.Partial[Verdict], stream=True)
    return {"value": [part.model_dump() for part in parts][-1]}


def tool(case: Case) -> Answer:
    called = create(case, instructor.Mode.TOOLS_STRICT, LookUp)
    return {"tool": [type(called).__name__, called.model_dump()]}


def structured(case: Case) -> Answer:
    return {"value": create(case, instructor.Mode.JSON_SCHEMA, Verdict).model_dump()}


def cancel(case: Case) -> Answer:
    chunks = create(case, instructor.Mode.JSON_SCHEMA, None, stream=True, extra_body=case.endless)
    read = first_pieces(chunks)
    chunks.close()
    return {"pieces": len(read)}


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
