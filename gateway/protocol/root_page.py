"""The page at `/`, of the gateway and of the device agent: what this is, and where to go from it.
It loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}"
    "pre{background:#8881;padding:1rem;overflow:auto}dt{font-family:monospace}"
    "dd{margin:0 0 .5rem 1.5rem}:root{color-scheme:light dark}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "cache-control": "no-cache",
}
"""What the page is sent with."""


class PageLink(NamedTuple):
    """A route that a browser can open, and what is there."""

    path: str
    meaning: str


_EXAMPLE = """\
curl BASE/v1/chat/completions -H 'content-type: application/json' -d '{
  "model": "tierflow-auto",
  "messages": [{"role": "user", "content": "Add 417 and 325 digit by digit."}]
}'"""


def root_page(title: str, sentence: str, links: Sequence[PageLink], *, asked_at: str = "") -> bytes:
    """The page; `asked_at` is the address of an API, for a command line that asks something."""
    rows = "".join(
        f'<dt><a href="{escape(link.path[1:])}">{escape(link.path)}</a></dt>'
        f"<dd>{escape(link.meaning)}</dd>"
        for link in links
    )
    example = _EXAMPLE.replace("BASE", asked_at.rstrip("/"))
    shown = f"<pre>{escape(example)}</pre>" if asked_at else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{escape(sentence)}</p>{shown}<dl>{rows}</dl></body>"
        "</html>\n"
    ).encode()
