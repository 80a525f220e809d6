"""What a client is asked to do, and what it says of it: a line of JSON each, over stdin and stdout.

Runs in the client's own environment, on nothing but Python's library.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]
"""What the client's user got, such as `text`, `finish`, `tool`, `value`, `usage`."""

PIECES = 3
"""A caller that cancels has read so many pieces of the answer."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request of a client's user."""

    name: str
    url: str
    """Of the server, without a path."""
    key: str
    model: str
    question: str
    max_tokens: int
    tool: dict[str, Any]
    """A function's `name`, `description`, `parameters`."""
    schema: dict[str, Any]
    """The JSON schema of a structured answer."""
    penalty: float
    """`frequency_penalty` where a grammar is obeyed: it keeps a small model from blanks."""
    end_tokens: list[int]
    """The ids of the tokens that end an answer."""
    tokenizer: str
    """The folder of the model's tokenizer, for clients that count tokens."""

    @property
    def endless(self) -> dict[str, Any]:
        """The field by which an answer never ends of itself."""
        return {"ignore_eos": True}

    @property
    def v1(self) -> str:
        return self.url + "/v1"

    @property
    def messages(self) -> list[Any]:
        return [{"role": "user", "content": self.question}]


def failure(error: BaseException) -> Answer:
    """What the client's user catches: the class, the status if it has one, the first words."""
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None)
    return {
        "error": type(error).__name__,
        "status": status if isinstance(status, int) else None,
        "code": code if isinstance(code, str | int) else None,
        "message": str(error),
    }


def first_pieces(pieces: Iterable[Any]) -> list[Any]:
    """As many as a caller reads that then leaves."""
    read = []
    for piece in pieces:
        read.append(piece)
        if len(read) == PIECES:
            break
    return read


def answer_cases(ways: Mapping[str, Callable[[Case], Answer]]) -> None:
    """Do what stdin asks for, until it ends; `ways` are the client's, by the name of the case."""
    out, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ready": sorted(ways)}), file=out, flush=True)
    for line in sys.stdin:
        case = Case(**json.loads(line))
        try:
            answer = ways[case.name](case)
        except Exception as error:
            traceback.print_exc()
            answer = failure(error)
        print(json.dumps(answer), file=out, flush=True)
