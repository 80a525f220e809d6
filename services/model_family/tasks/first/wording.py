"""How strangers type: alternatives inside a form, courtesies around it, case, and slips."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from random import Random

INNERMOST = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"(\{\w+\})")

LEADS = (
    "hi, ", "hey, ", "hello, ", "hello! ", "hi! ", "ok, ", "okay ", "so ", "so, ", "well, ", "um, ",
    "hey rill, ", "rill, ", "please ", "please: ", "question: ", "quick question: ", "quick: ",
    "a question: ", "one more: ", "next: ", "now ", "and now ", "sorry, ", "excuse me, ", "dear rill, ",
    "good morning, ", "good evening! ", "hi there, ", "hey there! ", "for my homework: ", "help: ",
    "i have a question: ", "can you help me? ", "help me, ", "just curious, ", "i was wondering, ",
    "my kid asks: ", "my teacher asks: ", "first question: ", "test: ", "let me ask you: ",
)  # fmt: skip

# Before a question or a noun phrase, not before a command.
INQUIRIES = (
    "tell me ", "please tell me ", "can you tell me ", "could you tell me ", "could you please tell me ",
    "do you know ", "do you happen to know ", "i want to know ", "i'd like to know ", "i need to know ",
    "i would like to know ", "would you tell me ", "let me know ", "i wonder ", "i am wondering ",
    "any idea ", "you know ", "i forgot ", "remind me ", "i am asking ", "say, ", "just tell me ",
    "would you mind telling me ", "are you able to tell me ", "do u know ", "pls tell me ",
)  # fmt: skip

# Before a command in its plain form.
REQUESTS = (
    "can you ", "could you ", "would you ", "will you ", "can you please ", "could you please ",
    "please ", "i want you to ", "i need you to ", "i'd like you to ", "try to ", "go ahead and ",
    "i would like you to ", "now ", "just ", "help me ", "are you able to ", "would you kindly ",
    "kindly ", "your task: ", "do this: ", "can u ", "pls ", "please could you ", "let's ",
)  # fmt: skip

TAILS = (
    " please", ", please", " thanks", ", thanks", " thank you", ", thank you", " for me", " now",
    " pls", " thx", ", can you", ", do you know", " quickly", ", just the answer", ", briefly",
    " if you can", ", rill", " in short", " then", ", tell me", " my friend", " again", " today",
    ", i forgot", " (short answer)", ", quick",
)  # fmt: skip

ENDS_OF_QUESTIONS = ("?",) * 12 + ("",) * 6 + (".", "??", " ?", "!", "...", "?!")
ENDS_OF_COMMANDS = (".",) * 8 + ("",) * 9 + ("!", "?", "...", "!!")


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


def _framed(rng: Random, text: str, inners: Sequence[str], ends: Sequence[str]) -> str:
    draw = rng.random()
    if draw < 0.22:
        text = rng.choice(inners) + text
    if rng.random() < 0.12:
        text = rng.choice(LEADS) + text
    if rng.random() < 0.1:
        text = text + rng.choice(TAILS)
    if rng.random() < 0.06:
        text = slip(rng, text)
    return cased(rng, text) + rng.choice(ends)


def question(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """A question or a noun phrase; ``slots`` are put in last, and keep their case."""
    return _filled(_framed(rng, expand(rng, rng.choice(forms)), INQUIRIES, ENDS_OF_QUESTIONS), slots)


def command(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """A command in its plain form; ``slots`` are put in last, and keep their case."""
    return _filled(_framed(rng, expand(rng, rng.choice(forms)), REQUESTS, ENDS_OF_COMMANDS), slots)


def remark(rng: Random, forms: Sequence[str], **slots: str) -> str:
    """Something that is said without asking anything."""
    return _filled(_framed(rng, expand(rng, rng.choice(forms)), ("",), ENDS_OF_COMMANDS), slots)


def _filled(text: str, slots: dict[str, str]) -> str:
    """Braces that stand for themselves do not occur in forms."""
    return SLOT.sub(lambda found: slots[found[0][1:-1]], text)


def typed(rng: Random, name: str) -> str:
    """A name as typed: at times without its capitals."""
    return name.lower() if rng.random() < 0.4 else name
