"""LiteLLM's SDK."""

from __future__ import annotations

import json
from typing import Any

import litellm

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


def complete(case: Case, **fields: Any) -> Any:
    return litellm.completion(
        model=f"openai/{case.model}",
        api_base=case.v1,
        api_key=case.key,
        messages=case.messages,
        max_tokens=case.max_tokens,
        temperature=0,
        num_retries=0,
        max_retries=0,
        **fields,
    )


def plain(case: Case) -> Answer:
    answer = complete(case)
    choice = answer.choices[0]
    usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": usage}


def stream(case: Case) -> Answer:
    parts, finish, usage = [], None, [None, None]
    for chunk in complete(case, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            parts.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
        if counted := getattr(chunk, "usage", None):
            usage = [counted.prompt_tokens, counted.completion_tokens]
    return {"text": "".join(parts), "finish": finish, "usage": usage}


def tool(case: Case) -> Answer:
    answer = complete(
        case,
        tools=[{"type": "function", "function": {**case.tool, "strict": True}}],
        tool_choice={"type": "function", "function": {"name": case.tool["name"]}},
        frequency_penalty=case.penalty,
    )
    choice = answer.choices[0]
    call = choice.message.tool_calls[0].function
    return {"tool": [call.name, json.loads(call.arguments)], "finish": choice.finish_reason}


def structured(case: Case) -> Answer:
    form = {"name": "verdict", "schema": case.schema, "strict": True}
    answer = complete(
        case,
        response_format={"type": "json_schema", "json_schema": form},
        frequency_penalty=case.penalty,
    )
    choice = answer.choices[0]
    return {"value": json.loads(choice.message.content), "finish": choice.finish_reason}


def cancel(case: Case) -> Answer:
    chunks = complete(case, stream=True, extra_body=case.endless)
    read = first_pieces(chunks)
    chunks.completion_stream.close()
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
