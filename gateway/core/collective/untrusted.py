"""Untrusted texts, made harmless before they stand in a prompt.

A member may answer with instructions to the aggregator, with an engine's control tokens, or with
megabytes. A harmless text has a bounded length, holds nothing that a chat template or a tokenizer
reads as a control token, and can't leave the lines in which it is quoted.
"""

from __future__ import annotations

import re

CUT = " […]"
_BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
# Other control characters, surrogates, and characters that are invisible or change the reading
# direction.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Brackets that open or close special tokens, by their form, as model families invent new names all
# the time: <|…|>, also in full width, <s>, <start_of_turn>, <fim-prefix>, <<SYS>>; [INST],
# [/THINK], [control_8] and other names in capitals; [|user|]; ]~b] and [e~[.
_ANGLE = r"[A-Za-z_@][\w@ -]{0,40}"
_SQUARES = (
    r"[A-Z][A-Z_0-9]{1,40}|(?i:inst|sys|[gs]?mask|cls|sep|pad|unk|bos|eos|(?:control|unused)_?\d+)"
)
_OPENING = re.compile(rf"<(?=\s*[|｜/<!]|\s*[A-Za-z_]\w{{0,40}}\s*/?>|{_ANGLE}/?>)")
_CLOSING = re.compile(r"(?<=[|｜])>|>(?=>)")
_SQUARE = re.compile(rf"\[(?=\s?[|｜]|\s?/?\s?(?:{_SQUARES})\s?\]|[a-z]~\[)")
_SQUARE_END = re.compile(r"(?<=[|｜])\]|\](?=~)")
CONTROL = re.compile(
    rf"<[|｜]|[|｜]>|<<|</|<{_ANGLE}>|\[/?(?:{_SQUARES})\]|\[[|｜]|[|｜]\]|\]~|\[[a-z]~\["
)
"""Matches what never comes out of `harmless`."""


def harmless(text: str, max_chars: int) -> str:
    """At most `max_chars` of the text, with line ends as \\n and without control tokens: their
    brackets become similar characters."""
    # The text is cut before the work. No later step makes it longer.
    cut = len(text) > max_chars
    text = text[: max(0, max_chars - len(CUT))] if cut else text
    text = _INVISIBLE.sub("", _BREAKS.sub("\n", text))
    text = _CLOSING.sub("›", _OPENING.sub("‹", text))
    text = _SQUARE_END.sub("⁆", _SQUARE.sub("⁅", text))
    return (text + CUT)[:max_chars] if cut else text


def one_line(text: str, max_chars: int) -> str:
    """The harmless text on one line, at most `max_chars`, without spaces at either end."""
    # Of a very long text only the beginning is looked at, as joining words would look at all of it.
    return " ".join(harmless(text[: 8 * max_chars], 8 * max_chars).split())[:max_chars]


def quoted(text: str, max_chars: int) -> str:
    """The harmless text with `> ` before each line. `max_chars` bounds the text without these."""
    lines = harmless(text, max_chars).strip("\n").split("\n")
    return "\n".join(f"> {line}" for line in lines)
