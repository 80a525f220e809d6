"""The fixed vocabulary: three special tokens, 256 bytes, then whole words in several forms.

Ids never change between runs or models, so every simulated model shares one tokenizer, as the
members of a family do.
"""

from enum import IntEnum

PAD_ID, START_ID, END_ID = 0, 1, 2
SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>")
FIRST_BYTE_ID = len(SPECIAL)
FIRST_WORD_ID = FIRST_BYTE_ID + 256


class WordClass(IntEnum):
    """A grammar class; the language model walks from one to the next."""

    OTHER = 0
    ARTICLE = 1
    ADJECTIVE = 2
    NOUN = 3
    VERB = 4
    PREPOSITION = 5
    STOP = 6


_WORDS: dict[WordClass, str] = {
    WordClass.ARTICLE: "the a this that every one another each some",
    WordClass.ADJECTIVE: (
        "small quiet bright early northern careful open green narrow heavy simple warm distant "
        "steady hidden broad clear sudden ancient gentle"
    ),
    WordClass.NOUN: (
        "river bridge garden letter train village answer question window market mountain song "
        "harbour lamp engine teacher valley signal number story path cloud forest table morning"
    ),
    WordClass.VERB: (
        "carries follows opens crosses keeps finds shows holds reaches brings turns meets builds "
        "covers guides measures joins lifts"
    ),
    WordClass.PREPOSITION: "near under beside along behind across above toward within from",
    WordClass.OTHER: (
        "user assistant system tool what is are in of and to you please tell me about how why "
        "write say hello it for with on can do not be as at by an or if"
    ),
}


def _build() -> tuple[list[bytes], list[WordClass]]:
    pieces = [word.encode() for word in SPECIAL] + [bytes([value]) for value in range(256)]
    classes = [WordClass.OTHER] * len(pieces)
    classes[FIRST_BYTE_ID + ord(".")] = WordClass.STOP
    for word_class, words in _WORDS.items():
        for word in words.split():
            for form in (word, " " + word, word.capitalize(), " " + word.capitalize()):
                pieces.append(form.encode())
                classes.append(word_class)
    return pieces, classes


PIECES, CLASSES = _build()
VOCABULARY_SIZE = len(PIECES)
WORD_IDS = {PIECES[token_id].decode(): token_id for token_id in range(FIRST_WORD_ID, len(PIECES))}
STOP_ID = FIRST_BYTE_ID + ord(".")


def forms(word_class: WordClass, *, spaced: bool = True, capital: bool = False) -> tuple[int, ...]:
    """Ids of a class's words in one written form, in a fixed order."""
    ids = []
    for word in _WORDS[word_class].split():
        written = word.capitalize() if capital else word
        ids.append(WORD_IDS[f" {written}" if spaced else written])
    return tuple(ids)
