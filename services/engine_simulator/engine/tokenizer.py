"""Text to token ids and back: known words are one token, everything else is its UTF-8 bytes.

`decode(encode(text)) == text` for every text without lone surrogates.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable
from functools import lru_cache

from services.engine_simulator.engine.vocabulary import (
    FIRST_BYTE_ID,
    PIECES,
    SPECIAL,
    VOCABULARY_SIZE,
    WORD_IDS,
)

_PIECE = re.compile(r" ?[A-Za-z]+|[^A-Za-z ]+| ")
_new_decoder = getincrementaldecoder("utf-8")


@lru_cache(maxsize=16384)
def _encode_piece(piece: str) -> tuple[int, ...]:
    known = WORD_IDS.get(piece)
    if known is not None:
        return (known,)
    return tuple(FIRST_BYTE_ID + value for value in piece.encode("utf-8", "replace"))


def _encode(text: str) -> tuple[int, ...]:
    ids: list[int] = []
    for piece in _PIECE.findall(text):
        ids.extend(_encode_piece(piece) if len(piece) <= 32 else _encode_piece.__wrapped__(piece))
    return tuple(ids)


# A load test repeats its prompts: without this, encoding them is half of the engine's work.
_remembered = lru_cache(maxsize=512)(_encode)


def encode(text: str) -> tuple[int, ...]:
    return _remembered(text) if len(text) <= 4096 else _encode(text)


def decode(ids: Iterable[int]) -> str:
    """Ids outside the vocabulary decode to nothing, as vLLM's /detokenize does."""
    parts = (PIECES[token_id] for token_id in ids if 0 <= token_id < VOCABULARY_SIZE)
    return b"".join(parts).decode("utf-8", "replace")


def token_text(token_id: int) -> str:
    """How one token is written in logprobs and `token_strs`."""
    return PIECES[token_id].decode("utf-8", "replace")


class TextStream:
    """The text of generated ids, piece by piece; holds back a split UTF-8 character."""

    def __init__(self) -> None:
        self._decoder = _new_decoder("replace")

    def push(self, token_id: int) -> str:
        if token_id < len(SPECIAL):
            return ""
        return self._decoder.decode(PIECES[token_id])

    def flush(self) -> str:
        return self._decoder.decode(b"", True)
