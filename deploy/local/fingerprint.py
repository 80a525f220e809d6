"""Fingerprints of tokenizers: members of a family must share one, token for token.

A tokenizer.json also holds things that change no token id (truncation, padding, how text is put
together again) and may be written in any order, so the file's bytes can't be compared. What is
hashed is what maps text to ids: model, normalizer, pre-tokenizer and added tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MODEL_KEYS = ("type", "vocab", "merges", "byte_fallback")
OTHER_FORMATS = (("tokenizer.model",), ("tekken.json",), ("vocab.json", "merges.txt"))
"""File sets that define a tokenizer without a tokenizer.json; hashed as they are."""


class TokenizerMissing(Exception):
    """A folder or a hub model without readable tokenizer files."""


def tokenizer_fingerprint(tokenizer: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of what a tokenizer.json says about mapping text to token ids."""
    model = tokenizer.get("model") or {}
    canonical = {
        "model": {key: model.get(key) for key in MODEL_KEYS} | {"merges": _merges(model)},
        "normalizer": tokenizer.get("normalizer"),
        "pre_tokenizer": tokenizer.get("pre_tokenizer"),
        "added_tokens": sorted(
            tokenizer.get("added_tokens") or [], key=lambda token: int(token["id"])
        ),
    }
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _merges(model: Mapping[str, Any]) -> list[list[str]] | None:
    """Merges as pairs; files of older versions write them as "left right"."""
    merges: Sequence[str | Sequence[str]] | None = model.get("merges")
    if merges is None:
        return None
    return [merge.split(" ", 1) if isinstance(merge, str) else list(merge) for merge in merges]


def folder_fingerprint(folder: Path) -> str:
    """Fingerprint of the tokenizer in a model's folder. Raises TokenizerMissing."""
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return tokenizer_fingerprint(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenizerMissing(f"{path} can't be read as a tokenizer: {error}") from error
    for names in OTHER_FORMATS:
        files = [folder / name for name in names]
        if all(file.is_file() for file in files):
            digest = hashlib.sha256()
            for file in files:
                digest.update(hashlib.sha256(file.read_bytes()).digest())
            return digest.hexdigest()
    raise TokenizerMissing(f"{folder} has no tokenizer.json")
