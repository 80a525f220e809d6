"""Anthropic's client for Python: `/v1/messages`."""

from __future__ import annotations

import json
from typing import Any

from anthropic import Anthropic

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


def client(case: Case) -> Anthropic:
    return Anthropic(base_url=case.url, api_key=case.key, max_retries=0)


def request(case: Case, **more: Any) -> dict[str, Any]:
    """`more`: what the engine understands and the client has no parameter for."""
    return {
        "model": case.model,
        "messages": case.messages,
        "max_tokens": case.max_tokens,
        "extra_body": {"temperature": 0, **more},
    }


def plain(case: Case) -> Answer:
    answer = client(case).messages.create(**request(case))
    usage = [answer.usage.input_tokens, answer.usage.output_tokens]
    return {"text": answer.content[0].text, "finish": answer.stop_reason, "usage": usage}


def stream(case: Case) -> Answer:
    with client(case).messages.stream(**request(case)) as events:
        text = "".join(events.text_stream)
        answer = events.get_final_message()
    usage = [answer.usage.input_tokens, answer.usage.output_tokens]
    return {"text": text, "finish": answer.stop_reason, "usage": usage}


def tool(case: Case) -> Answer:
    function = {
        "name": case.tool["name"],
        "description": case.tool["description"],
        "input_schema": case.tool["parameters"],
        "strict": True,
    }
    answer = client(case).messages.create(
        **request(case, frequency_penalty=case.penalty),
        tools=[function],
        tool_choice={"type": "tool", "name": case.tool["name"]},
    )
    used = next(block for block in answer.content if block.type == "tool_use")
    return {"tool": [used.name, used.input], "finish": answer.stop_reason}


def structured(case: Case) -> Answer:
    form = {"format": {"type": "json_schema", "schema": case.schema}}
    answer = client(case).messages.create(
        **request(case, frequency_penalty=case.penalty), output_config=form
    )
    return {"value": json.loads(answer.content[0].text), "finish": answer.stop_reason}


def count(case: Case) -> Answer:
    counted = client(case).messages.count_tokens(model=case.model, messages=case.messages)
    return {"usage": [counted.input_tokens, 0]}


def cancel(case: Case) -> Answer:
    with client(case).messages.stream(**request(case)) as events:
        read = first_pieces(events.text_stream)
    return {"pieces": len(read)}


if __name__ == "__main__":
    answer_cases(
        {
            "plain": plain,
            "stream": stream,
            "tool": tool,
            "structured": structured,
            "count": count,
            "cancel": cancel,
        }
    )
