"""LlamaIndex's OpenAILike."""

import gc
import json
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from tests.clients.programs.case import Answer, Case, answer_cases, first_pieces


def model(case: Case, **more: Any) -> OpenAILike:
    return OpenAILike(
        api_base=case.v1,
        api_key=case.key,
        model=case.model,
        max_tokens=case.max_tokens,
        temperature=0,
        max_retries=0,
        is_chat_model=True,
        is_function_calling_model=True,
        additional_kwargs=more,
    )


def question(case: Case) -> list[Any]:
    return [ChatMessage(role="user", content=case.question)]


def plain(case: Case) -> Answer:
    answer = model(case).chat(question(case))
    raw: Any = answer.raw
    usage = [raw.usage.prompt_tokens, raw.usage.completion_tokens]
    return {"text": answer.message.content, "finish": raw.choices[0].finish_reason, "usage": usage}


def stream(case: Case) -> Answer:
    parts, finish = [], None
    for piece in model(case).stream_chat(question(case)):
        parts.append(piece.delta or "")
        raw: Any = piece.raw
        finish = raw.choices[0].finish_reason if raw.choices else finish
    return {"text": "".join(parts), "finish": finish}


def look_up(word: Literal["river", "bridge"], exact: bool) -> str:
    """Looks a word up"""
    return f"{word} {exact}"


class Verdict(BaseModel):
    """A verdict"""

    verdict: Literal["right", "wrong"]


def tool(case: Case) -> Answer:
    llm = model(case, frequency_penalty=case.penalty)
    answer = llm.chat_with_tools(
        [FunctionTool.from_defaults(look_up)],
        user_msg=case.question,
        tool_choice={"type": "function", "function": {"name": case.tool["name"]}},
        strict=True,
    )
    call = llm.get_tool_calls_from_response(answer)[0]
    raw: Any = answer.raw
    return {"tool": [call.tool_name, call.tool_kwargs], "finish": raw.choices[0].finish_reason}


def structured(case: Case) -> Answer:
    llm = model(case, frequency_penalty=case.penalty)
    llm.should_use_structured_outputs = True
    answer: Any = llm.as_structured_llm(Verdict).chat(question(case))
    return {"value": json.loads(answer.message.content)}


def cancel(case: Case) -> Answer:
    pieces: Any = model(case, extra_body=case.endless).stream_chat(question(case))
    read = len(first_pieces(pieces))
    pieces.close()
    # It closes the connection of a stream that is left only when Python collects it.
    del pieces
    gc.collect()
    return {"pieces": read}


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
