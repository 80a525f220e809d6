"""What a page shows as a program's output, against what the program printed: the shapes are the
same. Of JSON that is the names and types of its fields; of text its words, with any number in a
number's place, and any signs in place of those that say who wrote each token. `…` stands for what
the page leaves out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.documents.blocks import BrokenExample

CUT = "…"
_ID = r"[0-9a-f]{16,}(?:-[0-9a-f]{16,})?"
_PART = re.compile(rf"(?P<cut>[\w-]*{CUT})|(?P<id>{_ID})|(?P<number>\d+(?:\.\d+)?)")
_NUMBER = r"\d+(?:\.\d+)?"
_SIGNS = re.compile(r"[.=?-]+")
_KIND = re.compile(r"[a-z]+[_-]")
_COMMENT = re.compile(r"\s+# .*")
_NAME = re.compile(r'"(\w+)"\s*:')


def compared(shown: str, printed: str, only_labels: bool = False) -> Mapping[str, str]:
    """What was printed in place of each id, and of each word that the page cuts short: a page's
    later commands use it. `only_labels`: a line's first word counts, the rest is what some model
    says. Raises BrokenExample, which names the first line that is not as shown."""
    values: dict[str, str] = {}
    lines = printed.splitlines()
    expected = [_COMMENT.sub("", line) for line in shown.splitlines()]
    if only_labels:
        expected = [f"{line.split()[0]} {CUT}" for line in expected]
    skips = False
    for line in expected:
        if line.strip() == CUT:
            skips = True
            continue
        found = next((n for n, each in enumerate(lines) if _is_as(line, each, values)), None)
        if found is None or (found and not skips):
            raise BrokenExample(f"the page shows {line!r}, but what is printed is {lines[:3]}")
        lines, skips = lines[found + 1 :], False
    if lines and expected and CUT not in expected[-1]:
        raise BrokenExample(f"the page does not show {lines[0]!r}")
    return values


def _is_as(shown: str, printed: str, values: dict[str, str]) -> bool:
    if shown.startswith("{"):
        return printed.startswith("{") and not json_differences(shown, printed, values)
    if _SIGNS.fullmatch(shown):
        return _SIGNS.fullmatch(printed) is not None
    pattern, names = "", []
    at = 0
    for part in _PART.finditer(shown):
        pattern += re.escape(shown[at : part.start()])
        at = part.end()
        if part["number"]:
            pattern += _NUMBER
        else:
            names.append(part[0])
            pattern += f"({_ID if part['id'] else _whole_word(part['cut'])})"
    found = re.fullmatch(pattern + re.escape(shown[at:]), printed.rstrip())
    if found:
        values.update(
            (name, word) for name, word in zip(names, found.groups(), strict=True) if name != CUT
        )
    return found is not None


def _whole_word(word: str) -> str:
    """What may stand for a word that the page cuts short. Tokens are told by how they begin, such
    as `tfe_`; what follows differs each time."""
    begin = _KIND.match(word)
    return f"{begin[0]}\\S+" if begin else ".*"


def json_differences(shown: str, printed: str, values: dict[str, str]) -> list[str]:
    """What a page that shows JSON has, and the printed has not; and what whole JSON leaves out."""
    real = json.loads(printed)
    try:
        example = json.loads(shown)
    except ValueError:
        return [name for name in _NAME.findall(shown) if name not in set(_NAME.findall(printed))]
    values.update(_cut_texts(example, real))
    return [*shape_differences(example, real), *unknown_fields(example, real)]


def _cut_texts(shown: Any, printed: Any) -> dict[str, str]:
    if not isinstance(shown, dict) or not isinstance(printed, dict):
        return {}
    return {
        text: str(printed.get(name))
        for name, text in shown.items()
        if isinstance(text, str) and text.endswith(CUT)
    }


def shape_differences(shown: Any, printed: Any, where: str = "") -> list[str]:
    """Fields of the page that are missing, or of another type. Null goes with every type."""
    if shown is None or printed is None:
        return []
    if _kind(shown) != _kind(printed):
        return [f"{where or 'the whole'} is {_kind(printed)}, and not {_kind(shown)}"]
    if isinstance(shown, dict):
        return [
            difference
            for name, value in shown.items()
            for difference in (
                shape_differences(value, printed[name], f"{where}.{name}")
                if name in printed
                else [f"{where}.{name} is missing"]
            )
        ]
    if isinstance(shown, list):
        return [
            f"{where}[{n}]: {'; '.join(unlike[0])}"
            for n, each in enumerate(shown)
            if (unlike := [shape_differences(each, one) for one in printed]) and all(unlike)
        ] + ([f"{where} is empty"] if shown and not printed else [])
    return []


def unknown_fields(shown: Any, printed: Any, where: str = "") -> list[str]:
    """Fields of the printed that the page does not show."""
    if isinstance(shown, list) and isinstance(printed, list):
        known = {name for each in shown if isinstance(each, dict) for name in each}
        return [
            f"{where}[].{name} is not shown"
            for each in printed
            if isinstance(each, dict)
            for name in each
            if name not in known
        ]
    if not isinstance(shown, dict) or not isinstance(printed, dict):
        return []
    return [f"{where}.{name} is not shown" for name in printed if name not in shown] + [
        difference
        for name, value in shown.items()
        if name in printed
        for difference in unknown_fields(value, printed[name], f"{where}.{name}")
    ]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a text"
