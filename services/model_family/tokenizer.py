"""The family's byte-level BPE tokenizer, trained on the generator's own text."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from services.model_family.chat import SPECIAL_TOKENS
from services.model_family.dataset import SYSTEM_PROMPTS, training_example
from services.model_family.tasks.registry import TASKS

# Digits and lone letters (names of variables; not the words "a" and "I") stand without the space
# before them, so that each is one token wherever it appears; punctuation takes that space along,
# so that ", 7" and " = x" cost one token more than the digit or letter.
LONE = r"[b-hj-zB-HJ-Z](?!\p{L})"
PIECES = rf"\p{{N}}|{LONE}| ?(?!{LONE})\p{{L}}+| ?[^\s\p{{L}}\p{{N}}]+(?: (?=\p{{N}}|{LONE}))?|\s+"


def corpus(seed: int, examples: int) -> Iterator[str]:
    rng = Random(f"tokenizer:{seed}")
    weights = [1.0] * len(TASKS)
    yield from SYSTEM_PROMPTS
    for _ in range(examples):
        _, example = training_example(rng, weights)
        yield example.prompt
        yield example.answer


def train_tokenizer(vocabulary: int, seed: int = 0, examples: int = 30_000) -> Tokenizer:
    """A tokenizer of at most ``vocabulary`` entries that round-trips any UTF-8 text."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed, examples), trainer)
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Raises KeyError for a token that is not in the vocabulary."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise KeyError(f"the tokenizer has no token {token}")
    return int(number)
