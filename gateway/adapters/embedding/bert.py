"""A small BERT encoder in numpy: mean of the last layer's states, of unit length.

What all-MiniLM-L6-v2 is (Reimers and Gurevych, arXiv 1908.10084): 6 layers of 384 units and 12
heads, mean pooling over the tokens that are there, then normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
EPSILON = 1e-12
HEADS = 12


class Bert:
    """`weights` by the names of a Hugging Face BertModel; shapes decide the number of layers."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._w = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.layers = 1 + max(
            int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")
        )

    def embed(self, ids: list[int]) -> Array:
        """One text's token ids, with [CLS] and [SEP]; gives a vector of unit length."""
        states = self._embeddings(np.asarray(ids))
        for layer in range(self.layers):
            states = self._layer(states, f"encoder.layer.{layer}.")
        mean = states.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), EPSILON), np.float32)

    def _embeddings(self, ids: NDArray[np.int64]) -> Array:
        w = self._w
        states = w["embeddings.word_embeddings.weight"][ids]
        states = states + w["embeddings.position_embeddings.weight"][: len(ids)]
        states = states + w["embeddings.token_type_embeddings.weight"][0]
        return self._norm(states, "embeddings.LayerNorm")

    def _layer(self, states: Array, name: str) -> Array:
        attended = self._linear(self._attention(states, name), name + "attention.output.dense")
        states = self._norm(states + attended, name + "attention.output.LayerNorm")
        inner = gelu(self._linear(states, name + "intermediate.dense"))
        outer = self._linear(inner, name + "output.dense")
        return self._norm(states + outer, name + "output.LayerNorm")

    def _attention(self, states: Array, name: str) -> Array:
        """Of (tokens, units) to the same; every token sees every other."""
        tokens, units = states.shape

        def heads(what: str) -> Array:
            projected = self._linear(states, f"{name}attention.self.{what}")
            return projected.reshape(tokens, HEADS, units // HEADS).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(units // HEADS))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        return np.asarray(mixed.transpose(1, 0, 2).reshape(tokens, units))

    def _linear(self, states: Array, name: str) -> Array:
        return np.asarray(states @ self._w[name + ".weight"].T + self._w[name + ".bias"])

    def _norm(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        return np.asarray(centred / scale * self._w[name + ".weight"] + self._w[name + ".bias"])


def gelu(x: Array) -> Array:
    """x times the normal distribution's cumulative function, which numpy does not have: by
    Abramowitz and Stegun 7.1.26, right to 1.5e-7."""
    z = np.abs(x) * np.float32(1 / np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    erf = np.copysign(1 - series * t * np.exp(-z * z), x)
    return np.asarray(x * (1 + erf) * np.float32(0.5), np.float32)
