"""Members' texts made harmless before they stand in a prompt.

A member may answer with instructions to the aggregator, with an engine's control tokens, or with
megabytes. What leaves here is bounded, holds nothing that a chat template or a tokenizer reads as
a control token, and keeps to the lines that it is given.
"""

from __future__ import annotations

import re

CUT = " […]"
_BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
# Other control characters, surrogates, and what is invisible or changes the reading direction.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Brackets that open or close special tokens. Families invent new names all the time, so it is their
# form that counts: <|…|>, also in full width, <s>, <start_of_turn>, <fim-prefix>, <<SYS>>; [INST],
# [/THINK], [control_8] and whatever else stands in capitals; [|user|]; ]~b] and [e~[.
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
    """At most `max_chars`, with line ends as \\n; what looked like a control token does no more."""
    # Cut before the work: whatever is behind is not looked at. One more step can't make it longer.
    cut = len(text) > max_chars
    text = text[: max(0, max_chars - len(CUT))] if cut else text
    text = _INVISIBLE.sub("", _BREAKS.sub("\n", text))
    text = _CLOSING.sub("›", _OPENING.sub("‹", text))
    text = _SQUARE_END.sub("⁆", _SQUARE.sub("⁅", text))
    return (text + CUT)[:max_chars] if cut else text


def one_line(text: str, max_chars: int) -> str:
    """Without line ends and without spaces at either end."""
    # Far longer than the bound it is only cut: joining words would look at all of it.
    return " ".join(harmless(text[: 8 * max_chars], 8 * max_chars).split())[:max_chars]


def quoted(text: str, max_chars: int) -> str:
    """Each line behind `> `; the bound holds for what is quoted, without the marks."""
    lines = harmless(text, max_chars).strip("\n").split("\n")
    return "\n".join(f"> {line}" for line in lines)
