"""A toy autoregressive model: the next token depends on the whole context and nothing else.

Asking again, or asking to continue from prompt + tokens already given, yields the same text;
so a resumed stream and a verified draft can be checked against a plain answer, to the token.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence

from services.engine_simulator.engine.vocabulary import (
    CLASSES,
    END_ID,
    FIRST_WORD_ID,
    STOP_ID,
    VOCABULARY_SIZE,
    WordClass,
    forms,
)

_FIRST = forms(WordClass.ARTICLE, spaced=False, capital=True)
_AGAIN = forms(WordClass.ARTICLE, capital=True)
_NOUN, _ADJECTIVE = forms(WordClass.NOUN), forms(WordClass.ADJECTIVE)
_FOLLOWS: dict[WordClass, tuple[int, ...]] = {
    WordClass.OTHER: _FIRST,
    WordClass.ARTICLE: _ADJECTIVE + _NOUN,
    WordClass.ADJECTIVE: _NOUN,
    WordClass.NOUN: forms(WordClass.VERB) + forms(WordClass.PREPOSITION) + (STOP_ID,) * 12,
    WordClass.VERB: forms(WordClass.ARTICLE),
    WordClass.PREPOSITION: forms(WordClass.ARTICLE),
    WordClass.STOP: _AGAIN,
}
_END_IN = 4  # one sentence in so many is the last


def next_token(draw: int, last_id: int, *, may_end: bool) -> int:
    """The token after `last_id`, chosen by `draw`, a 64-bit hash of the context."""
    word_class = CLASSES[last_id]
    if word_class is WordClass.STOP and may_end and (draw >> 32) % _END_IN == 0:
        return END_ID
    followers = _FOLLOWS[word_class]
    return followers[draw % len(followers)]


class Context:
    """The state of one generation: a hash of model, seed, choice and all token ids so far."""

    def __init__(
        self, *, model: str, seed: int | None = None, choice: int = 0, prompt: Sequence[int] = ()
    ) -> None:
        self._hash = hashlib.blake2b(f"{model}\0{seed}\0{choice}\0".encode(), digest_size=8)
        self._hash.update(array("I", prompt).tobytes())
        self.last_id = prompt[-1] if prompt else 0

    def draw(self) -> int:
        return int.from_bytes(self._hash.digest(), "little")

    def append(self, token_id: int) -> None:
        self._hash.update(token_id.to_bytes(4, "little"))
        self.last_id = token_id


def generate(context: Context, min_tokens: int, ignore_end: bool) -> Iterator[tuple[int, int]]:
    """Yields (token id, draw) without end; the end token may come once `min_tokens` are out."""
    produced = 0
    while True:
        draw = context.draw()
        may_end = not ignore_end and produced >= min_tokens
        token_id = next_token(draw, context.last_id, may_end=may_end)
        context.append(token_id)
        produced += 1
        yield token_id, draw


def recite(context: Context, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields prescribed ids, then the end token: for JSON and tool calls."""
    for token_id in (*ids, END_ID):
        draw = context.draw()
        context.append(token_id)
        yield token_id, draw


def alternatives(draw: int, chosen: int, count: int) -> list[tuple[int, float]]:
    """(id, logprob) of the most likely tokens, best first; `chosen` leads when it is greedy."""
    best = -((draw >> 40) % 1000) / 1000 - 0.01
    ranked = [(chosen, best)]
    words = VOCABULARY_SIZE - FIRST_WORD_ID
    for rank in range(1, count):
        token_id = FIRST_WORD_ID + (draw + rank * 97) % words
        if token_id == chosen:
            token_id = END_ID
        ranked.append((token_id, best - 0.7 * rank - 0.5))
    return ranked
