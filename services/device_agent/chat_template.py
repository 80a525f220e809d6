"""Messages as one text, by the template in a model's folder, exactly as the servers write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox


class TemplateUnusable(Exception):
    """The folder's template can't be read; one line that says why."""


class ChatTemplate:
    """A chat template of Hugging Face's kind: Jinja, with what transformers gives to it.

    `special` are the tokens that it may name, such as bos_token. Raises TemplateUnusable.
    """

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _json
        environment.globals |= {
            "raise_exception": _refuse,
            "strftime_now": lambda form: datetime.now().strftime(form),
            # Templates look whether there are any.
            "tools": None,
            "documents": None,
            **special,
        }
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as exc:
            raise TemplateUnusable(f"the chat template can't be read: {exc}") from exc

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Up to where the answer begins. Raises ValueError where the template refuses them."""
        try:
            return self._template.render(messages=messages, add_generation_prompt=True)
        except (jinja2.TemplateError, TypeError, KeyError, AttributeError) as exc:
            raise ValueError(f"the model's chat template refuses the messages: {exc}") from exc


def read_template(folder: Path) -> ChatTemplate | None:
    """None where the model has none, as models have that are not for chat.

    Raises TemplateUnusable.
    """
    config = _optional_json(folder / "tokenizer_config.json")
    file = folder / "chat_template.jinja"
    source = file.read_text() if file.is_file() else _named(config.get("chat_template"))
    if not source:
        return None
    tokens = {**_optional_json(folder / "special_tokens_map.json"), **config}
    special = {
        name: token.get("content") if isinstance(token, dict) else token
        for name, token in tokens.items()
        if name.endswith("_token")
    }
    return ChatTemplate(
        source, {name: token for name, token in special.items() if isinstance(token, str)}
    )


def _named(source: Any) -> str:
    """Of several templates, the one for a chat without tools."""
    if isinstance(source, list):
        named = (each for each in source if isinstance(each, dict))
        source = next((each.get("template") for each in named if each.get("name") == "default"), "")
    return source if isinstance(source, str) else ""


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    """As transformers does: characters that mean something in HTML stay as they are."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _optional_json(file: Path) -> dict[str, Any]:
    """Raises TemplateUnusable."""
    try:
        content = json.loads(file.read_text()) if file.is_file() else {}
    except (OSError, ValueError) as exc:
        raise TemplateUnusable(f"{file.name} can't be read: {exc}") from exc
    return content if isinstance(content, dict) else {}


class _Generation(jinja2.ext.Extension):
    """The tag around what an assistant says, which matters in training alone."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
