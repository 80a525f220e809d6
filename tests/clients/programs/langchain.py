"""LangChain's ChatOpenAI."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


def model(case: Case, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=case.v1,
        api_key=case.key,
        model=case.model,
        max_tokens=case.max_tokens,
        temperature=0,
        max_retries=0,
        **more,
    )


def said(message: Any, text: str) -> Answer:
    usage = message.usage_metadata or {}
    return {
        "text": text,
        "finish": message.response_metadata.get("finish_reason"),
        "usage": [usage.get("input_tokens"), usage.get("output_tokens")],
    }


def plain(case: Case) -> Answer:
    message = model(case).invoke([HumanMessage(case.question)])
    return said(message, message.content)


def stream(case: Case) -> Answer:
    whole: Any = None
    for chunk in model(case, stream_usage=True).stream([HumanMessage(case.question)]):
        whole = chunk if whole is None else whole + chunk
    return said(whole, whole.content)


def tool(case: Case) -> Answer:
    function = {"type": "function", "function": {**case.tool, "strict": True}}
    bound = model(case, frequency_penalty=case.penalty).bind_tools(
        [function], tool_choice=case.tool["name"]
    )
    message = bound.invoke([HumanMessage(case.question)])
    call = message.tool_calls[0]
    finish = message.response_metadata.get("finish_reason")
    return {"tool": [call["name"], call["args"]], "finish": finish}


def structured(case: Case) -> Answer:
    schema = {"title": "verdict", "description": "A verdict", **case.schema}
    shaped = model(case, frequency_penalty=case.penalty).with_structured_output(
        schema, method="json_schema", strict=True
    )
    return {"value": shaped.invoke([HumanMessage(case.question)])}


def cancel(case: Case) -> Answer:
    chunks: Any = model(case, extra_body=case.endless).stream([HumanMessage(case.question)])
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
