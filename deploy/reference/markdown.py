"""The little Markdown that the generated pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

GENERATED = (
    "<!-- Written by `make docs`. Change the code that it is made of, and write it again. -->"
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`"


def linked(text: str) -> str:
    """The text with each `docs/page.md` in it as a link between pages."""
    return re.sub(r"\bdocs/([a-z-]+)\.md", r"[\1.md](\1.md)", text)


def paragraphs(*parts: str) -> str:
    """A page that consists of these parts."""
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
