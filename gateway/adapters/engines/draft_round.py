"""One round: drafts are checked by an engine that only knows completions, with one request.

The request has several prompts: the text so far, and that text with the first draft, the first two,
and so on. Of each the engine says the next token, greedily. With a prefix cache it computes little
more than the drafts themselves. (`prompt_logprobs` of one prompt would say the same, but vLLM skips
the prefix cache for them.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.adapters.engines.dialects import Dialect
from gateway.adapters.engines.engine_request import read_small
from gateway.core.ports import Answer
from gateway.core.speculation.job import Batch


class RoundUnreadable(Exception):
    """An answer that holds no token for each of the prompts."""


class NextToken(NamedTuple):
    """What an engine says after one of the prompts. `ends`: the answer ends with it; `stop` is the
    id of the token that did, where the engine names it."""

    id: int
    text: str
    ends: bool
    stop: str | int | None


def round_body(
    *,
    model: str,
    text: Sequence[int],
    drafts: Sequence[int],
    fields: Mapping[str, Any],
    dialect: Dialect,
) -> dict[str, Any]:
    """The request for a round. `text` are the ids of prompt and answer so far, `fields` those that
    the answer's own stream has too."""
    return {
        **fields,
        "model": model,
        "prompt": [[*text, *drafts[:count]] for count in range(len(drafts) + 1)],
        "max_tokens": 1,
        "temperature": 0,
        **dialect.fields,
    }


async def read_round(answer: Answer, rows: int, dialect: Dialect) -> list[NextToken]:
    """In the order of the prompts. Raises UpstreamError, RoundUnreadable."""
    return parse_round(await read_small(answer), rows, dialect)


def parse_round(body: bytes, rows: int, dialect: Dialect) -> list[NextToken]:
    """Raises RoundUnreadable."""
    try:
        choices = orjson.loads(body)["choices"]
        by_index = {choice["index"]: choice for choice in choices}
        return [_next_token(by_index[index], dialect) for index in range(rows)]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RoundUnreadable from error


def _next_token(choice: Mapping[str, Any], dialect: Dialect) -> NextToken:
    ids, text, stop = dialect.ids(choice), choice.get("text"), choice.get("stop_reason")
    if len(ids) != 1:
        raise ValueError("not one token")
    return NextToken(
        id=ids[0],
        text=text if isinstance(text, str) else "",
        ends=choice.get("finish_reason") == "stop",
        stop=stop if isinstance(stop, str | int) else None,
    )


def confirmed(drafts: Sequence[int], tokens: Sequence[NextToken], room: int) -> Batch:
    """What a round says: the drafts that agree, and the engine's own token after them. `room`: how
    many tokens the answer may still have, at least one."""
    ids, text = list[int](), ""
    for place, token in enumerate(tokens):
        ids.append(token.id)
        text += token.text
        if token.ends:
            return Batch(ids=ids, reason="stop", stop=token.stop, text=text)
        if len(ids) == room:
            return Batch(ids=ids, reason="length", text=text)
        if place == len(drafts) or drafts[place] != token.id:
            break
    return Batch(ids=ids, text=text)
