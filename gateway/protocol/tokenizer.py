"""The fingerprint that tells whether two tokenizers give the same ids: by what they do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

# Every printable ASCII character, words, digits, white space, several scripts, control characters:
# tokenizers that agree on all of it and differ elsewhere would have to be made for that.
PROBE = (
    "".join(chr(code) for code in range(32, 127))
    + "\n\tThe quick brown fox jumps over 13 lazy dogs, 1234567890 times; don't ask why.\n"
    + "def f(x):\n    return x ** 2  # naïve\n"
    + "Zażółć gęślą jaźń — Ärger, œuvre, Привет мир, 你好,世界, こんにちは, 🙂🚀 \u0000\u007f"
)


def fingerprint(ids: Sequence[int]) -> str:
    """Of the token ids that `PROBE` gets without special tokens: 16 hex digits."""
    text = json.dumps(list(ids), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
