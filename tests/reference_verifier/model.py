"""A causal language model of transformers, in float32, with a cache that is cropped as needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, DynamicCache


class Model:
    """Scores texts; what a text shares with the one before is not computed again."""

    def __init__(self, folder: Path) -> None:
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._cache = DynamicCache(config=self._model.config)
        self._held: list[int] = []
        config = self._model.config
        self.vocabulary = int(config.vocab_size)
        self.context = int(config.max_position_embeddings)
        end = self._model.generation_config.eos_token_id
        self.end_ids = frozenset(end if isinstance(end, list) else [end])

    def logits(self, text: Sequence[int], rows: int) -> NDArray[np.float32]:
        """[rows, V]: what follows `text` and its `rows` - 1 longest prefixes, shortest first."""
        keep = min(_common(self._held, text), len(text) - rows)
        # Negative: how many to remove. Positive lengths are deprecated.
        if keep < len(self._held):
            self._cache.crop(keep - len(self._held))
        new = torch.tensor([list(text[keep:])])
        with torch.inference_mode():
            output = self._model(input_ids=new, past_key_values=self._cache, logits_to_keep=rows)
        self._held = list(text)
        scores: NDArray[np.float32] = output.logits[0].numpy()
        return scores


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
