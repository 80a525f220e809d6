"""How strangers type: alternatives inside a form, courtesies around it, case, and slips."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

INNERMOST = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"(\{\w+\})")
PART = re.compile(r"<(\w+)>")

ENDS_OF_QUESTIONS = ("?",) * 12 + ("",) * 6 + (".", "??", " ?", "!", "...", "?!")
ENDS_OF_COMMANDS = (".",) * 8 + ("",) * 9 + ("!", "?", "...", "!!")


def table(name: str) -> Mapping[str, tuple[str, ...]]:
    """The forms and words of ``forms/NAME.toml``. ``<key>`` in a form stands for the alternatives
    that stand under that key before it."""
    file = Path(__file__).parent / "forms" / f"{name}.toml"
    forms: dict[str, tuple[str, ...]] = {}
    for key, texts in tomllib.loads(file.read_text(encoding="utf-8")).items():
        forms[key] = tuple(PART.sub(lambda found: either(forms[found[1]]), text) for text in texts)
    return forms


def either(alternatives: Sequence[str]) -> str:
    """One of them, as a part of a form."""
    return f"[{'|'.join(alternatives)}]"


def expand(rng: Random, form: str) -> str:
    """``form`` with one of the alternatives of each ``[a|b|c]``, which may be nested."""
    while (found := INNERMOST.search(form)) is not None:
        choice = rng.choice(found[1].split("|"))
        form = form[: found.start()] + choice + form[found.end() :]
    return re.sub(" +", " ", form).strip()


def slip(rng: Random, text: str) -> str:
    """One slip of the fingers in a word of ``text``, outside of its ``{slots}``."""
    parts = SLOT.split(text)
    at = rng.randrange(0, len(parts), 2)
    part = parts[at]
    places = [i for i in range(1, len(part) - 1) if part[i - 1 : i + 2].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        part = part[:i] + part[i + 1] + part[i] + part[i + 2 :]
    elif kind == 1:
        part = part[:i] + part[i + 1 :]
    elif kind == 2:
        part = part[:i] + part[i] + part[i:]
    else:
        part = part[:i] + rng.choice(string.ascii_lowercase) + part[i + 1 :]
    parts[at] = part
    return "".join(parts)


def cased(rng: Random, text: str) -> str:
    """``text`` as typed: mostly with a capital at the start, often all in small letters."""
    draw = rng.random()
    if draw < 0.5:
        return text[:1].upper() + text[1:]
    if draw < 0.93:
        return text.lower()
    if draw < 0.97:
        return text
    return "".join(part if part.startswith("{") else part.upper() for part in SLOT.split(text))


FORMS = table("wording")


def _framed(rng: Random, text: str, inners: Sequence[str], ends: Sequence[str]) -> str:
    draw = rng.random()
    if draw < 0.22:
        text = rng.choice(inners) + text
    if rng.random() < 0.12:
        text = rng.choice(FORMS["leads"]) + text
    if rng.random() < 0.1:
        text = text + rng.choice(FORMS["tails"])
    if rng.random() < 0.06:
        text = slip(rng, text)
    return cased(rng, text) + rng.choice(ends)


def question(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """A question or a noun phrase; ``slots`` are put in last, and keep their case."""
    text = expand(rng, rng.choice(forms))
    return _filled(_framed(rng, text, FORMS["inquiries"], ENDS_OF_QUESTIONS), slots)


def command(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """A command in its plain form; ``slots`` are put in last, and keep their case."""
    text = expand(rng, rng.choice(forms))
    return _filled(_framed(rng, text, FORMS["requests"], ENDS_OF_COMMANDS), slots)


def remark(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """Something that is said without asking anything."""
    text = expand(rng, rng.choice(forms))
    return _filled(_framed(rng, text, ("",), ENDS_OF_COMMANDS), slots)


def _filled(text: str, slots: dict[str, str]) -> str:
    """Braces that stand for themselves do not occur in forms."""
    return SLOT.sub(lambda found: slots[found[0][1:-1]], text)


def typed(rng: Random, name: str) -> str:
    """A name as typed: at times without its capitals."""
    return name.lower() if rng.random() < 0.4 else name
