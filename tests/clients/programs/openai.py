"""OpenAI's client for Python."""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI
from openai.types.shared_params import ResponseFormatJSONSchema

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


def whole(case: Case, **fields: Any) -> Any:
    create: Any = OpenAI(base_url=case.v1, api_key=case.key, max_retries=0).chat.completions.create
    return create(
        model=case.model,
        messages=case.messages,
        max_tokens=case.max_tokens,
        temperature=0,
        **fields,
    )


def plain(case: Case) -> Answer:
    answer = whole(case)
    choice = answer.choices[0]
    usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": usage}


def stream(case: Case) -> Answer:
    with whole(case, stream=True, stream_options={"include_usage": True}) as chunks:
        read = list(chunks)
    choices = [chunk.choices[0] for chunk in read if chunk.choices]
    usage = read[-1].usage
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": choices[-1].finish_reason,
        "usage": [usage.prompt_tokens, usage.completion_tokens],
    }


def tool(case: Case) -> Answer:
    function = {"type": "function", "function": {"name": case.tool["name"]}}
    answer = whole(
        case,
        tools=[{"type": "function", "function": {**case.tool, "strict": True}}],
        tool_choice=function,
        frequency_penalty=case.penalty,
    )
    choice = answer.choices[0]
    call = choice.message.tool_calls[0].function
    arguments = json.loads(call.arguments)
    return {"tool": [call.name, arguments], "finish": choice.finish_reason}


def structured(case: Case) -> Answer:
    form: ResponseFormatJSONSchema = {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "schema": case.schema, "strict": True},
    }
    answer = whole(case, response_format=form, frequency_penalty=case.penalty)
    choice = answer.choices[0]
    return {"value": json.loads(choice.message.content), "finish": choice.finish_reason}


def cancel(case: Case) -> Answer:
    with whole(case, stream=True, extra_body=case.endless) as chunks:
        read = first_pieces(chunks)
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
