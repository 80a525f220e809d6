"""Programs in Python that ask by OpenAI's client: each runs with a client that sends nothing, and
what it would send is read as the gateway reads it."""

from __future__ import annotations

import inspect
import io
import json
from contextlib import redirect_stdout
from typing import Any
from unittest import mock

import openai
from openai.resources.chat import Completions

from tests.documents.blocks import Block, BrokenExample
from tests.documents.data import CHAT, read_body

_CREATE = inspect.signature(Completions.create)
_CLIENT = inspect.signature(openai.OpenAI)


def run_without_gateway(block: Block) -> None:
    """Raises BrokenExample where the program fails, or asks something that would be refused."""
    create = mock.MagicMock(side_effect=_asked)
    client = mock.MagicMock()
    client.chat.completions.create = create

    def made(*given: Any, **named: Any) -> mock.MagicMock:
        _CLIENT.bind(*given, **named)
        return client

    try:
        with mock.patch.object(openai, "OpenAI", made), redirect_stdout(io.StringIO()):
            exec(compile(block.text, block.page, "exec"), {"__name__": "__main__"})
    except BrokenExample:
        raise
    except Exception as error:
        raise BrokenExample(f"{block}: {error!r}") from error
    if not create.called:
        raise BrokenExample(f"{block}: it asks nothing: nobody has said how to check it")


def _asked(**fields: Any) -> mock.MagicMock:
    _CREATE.bind(None, **fields)
    further = fields.pop("extra_body", {})
    read_body(CHAT, json.dumps({**fields, **further}))
    return mock.MagicMock()
