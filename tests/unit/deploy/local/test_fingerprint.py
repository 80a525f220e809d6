"""Equal fingerprints mean equal token ids: what must not change them, and what must."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.fingerprint import TokenizerMissing, folder_fingerprint, tokenizer_fingerprint

words = st.text(st.characters(codec="utf-8", exclude_characters=" "), min_size=1, max_size=5)


@st.composite
def tokenizers(draw: st.DrawFn) -> dict[str, Any]:
    tokens = draw(st.lists(words, min_size=2, max_size=12, unique=True))
    merges = draw(st.lists(st.tuples(words, words), max_size=6))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(tokens) + number, "content": content, "special": True}
            for number, content in enumerate(draw(st.lists(words, max_size=3, unique=True)))
        ],
        "normalizer": draw(st.sampled_from([None, {"type": "NFC"}, {"type": "Lowercase"}])),
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": draw(st.booleans())},
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
        },
    }


def shuffled(value: Any, order: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: shuffled(value[key], order) for key in keys}


@given(tokenizers(), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(tokenizer: dict[str, Any], order: random.Random) -> None:
    assert tokenizer_fingerprint(shuffled(tokenizer, order)) == tokenizer_fingerprint(tokenizer)


@given(tokenizers())
def test_both_ways_to_write_merges_are_one(tokenizer: dict[str, Any]) -> None:
    as_text = [" ".join(pair) for pair in tokenizer["model"]["merges"]]
    older = tokenizer | {"model": tokenizer["model"] | {"merges": as_text}}
    assert tokenizer_fingerprint(older) == tokenizer_fingerprint(tokenizer)


@given(tokenizers(), st.integers(1, 4096))
def test_truncation_padding_and_decoder_do_not_matter(
    tokenizer: dict[str, Any], length: int
) -> None:
    other = tokenizer | {
        "truncation": {"max_length": length},
        "padding": {"pad_id": length},
        "decoder": None,
    }
    assert tokenizer_fingerprint(other) == tokenizer_fingerprint(tokenizer)


@given(tokenizers(), st.data())
def test_two_tokens_that_swap_ids_change_it(tokenizer: dict[str, Any], data: st.DataObject) -> None:
    vocab = tokenizer["model"]["vocab"]
    one, other = data.draw(
        st.lists(st.sampled_from(sorted(vocab)), min_size=2, max_size=2, unique=True)
    )
    swapped = vocab | {one: vocab[other], other: vocab[one]}
    changed = tokenizer | {"model": tokenizer["model"] | {"vocab": swapped}}
    assert tokenizer_fingerprint(changed) != tokenizer_fingerprint(tokenizer)


@given(tokenizers(), st.integers(0, 3))
def test_any_part_that_maps_text_to_ids_changes_it(tokenizer: dict[str, Any], part: int) -> None:
    model = tokenizer["model"]
    changed = (
        tokenizer
        | [
            {"model": model | {"merges": [*model["merges"], ["new", "merge"]]}},
            {"normalizer": {"type": "Strip"}},
            {"pre_tokenizer": {"type": "Whitespace"}},
            {"added_tokens": [*tokenizer["added_tokens"], {"id": 9999, "content": "<new>"}]},
        ][part]
    )
    assert tokenizer_fingerprint(changed) != tokenizer_fingerprint(tokenizer)


def test_a_folder_without_tokenizer_json_goes_by_its_other_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "tokenizer.model").write_bytes(b"pieces")
    assert folder_fingerprint(one) == folder_fingerprint(other)
    (other / "tokenizer.model").write_bytes(b"other pieces")
    assert folder_fingerprint(one) != folder_fingerprint(other)


def test_a_folder_without_any_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerMissing, match=str(tmp_path)):
        folder_fingerprint(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"added_tokens": [{}]})])
def test_a_broken_tokenizer_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TokenizerMissing, match="tokenizer.json"):
        folder_fingerprint(tmp_path)
