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
# Brackets that open or close special tokens: <|…|> of most families, also in full width, <s>,
# <pad>, <start_of_turn>, <think>, [INST], <<SYS>>.
_OPENING = re.compile(r"<(?=\s*[|｜/<!]|\s*[A-Za-z_][A-Za-z0-9_]{0,40}\s*/?>)")
_CLOSING = re.compile(r"(?<=[|｜])>|>(?=>)")
_NAMES = (
    "INST|SYS|SYSTEM_PROMPT|TOOL_[A-Z]{1,20}|AVAILABLE_TOOLS|CLS|SEP|[gs]?MASK|PAD|UNK|BOS|EOS|IMG"
)
_SQUARE = re.compile(rf"\[(?=/?\s*(?:{_NAMES})\])", re.IGNORECASE)
CONTROL = re.compile(
    rf"<[|｜]|[|｜]>|<<|</|<[A-Za-z_][A-Za-z0-9_]{{0,40}}>|\[/?(?:{_NAMES})\]", re.IGNORECASE
)
"""Matches what never comes out of `harmless`."""


def harmless(text: str, max_chars: int) -> str:
    """At most `max_chars`, with line ends as \\n; what looked like a control token does no more."""
    # Cut before the work: whatever is behind is not looked at. One more step can't make it longer.
    cut = len(text) > max_chars
    text = text[: max(0, max_chars - len(CUT))] if cut else text
    text = _INVISIBLE.sub("", _BREAKS.sub("\n", text))
    text = _SQUARE.sub("⁅", _CLOSING.sub("›", _OPENING.sub("‹", text)))
    return (text + CUT)[:max_chars] if cut else text


def one_line(text: str, max_chars: int) -> str:
    """Without line ends and without spaces at either end."""
    # Far longer than the bound it is only cut: joining words would look at all of it.
    return " ".join(harmless(text[: 8 * max_chars], 8 * max_chars).split())[:max_chars]


def quoted(text: str, max_chars: int) -> str:
    """Each line behind `> `; the bound holds for what is quoted, without the marks."""
    lines = harmless(text, max_chars).strip("\n").split("\n")
    return "\n".join(f"> {line}" for line in lines)
