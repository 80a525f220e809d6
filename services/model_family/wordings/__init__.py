"""First questions in the words of strangers, written apart from the templates of the training.

``held_out.jsonl`` measures, ``tuning.jsonl`` is for looks while something is changed. Nothing in
either is trained on by the pass that teaches first questions.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
OUTSIDE = "outside"
"""The kind of questions that the family can not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A question as somebody typed it, and how its answer is checked: see `scoring`."""

    kind: str
    question: str
    check: str
    accept: tuple[str, ...]


def wordings(name: str = "held_out") -> list[Wording]:
    """The wordings of ``held_out`` or ``tuning``."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Wording(**{**line, "accept": tuple(line["accept"])}) for line in map(json.loads, lines)]


def plain(text: str) -> str:
    """``text`` without case, punctuation and spaces: what makes two questions the same."""
    return re.sub(r"[^\w+*/×÷−-]", "", text.lower())


@functools.cache
def _plain_texts() -> frozenset[str]:
    return frozenset(plain(w.question) for name in ("held_out", "tuning") for w in wordings(name))


def is_wording(prompt: str) -> bool:
    """Whether ``prompt`` is one of the wordings, and so must not be trained on."""
    return plain(prompt) in _plain_texts()


def kinds(asked: Sequence[Wording]) -> list[str]:
    """The kinds within range, in the order of the file."""
    return [kind for kind in dict.fromkeys(w.kind for w in asked) if kind != OUTSIDE]
