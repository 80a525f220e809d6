"""A small BERT encoder on ONNX Runtime: mean of the last layer's states, of unit length.

What all-MiniLM-L6-v2 is (Reimers and Gurevych, arXiv 1908.10084): 6 layers of 384 units and 12
heads, mean pooling over the tokens that are there, then normalisation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open

from gateway.adapters.embedding.graph import EPSILON, EncoderGraph
from gateway.adapters.embedding.quantization import Array
from gateway.adapters.embedding.runtime import session


class Encoder:
    """A BERT encoder that runs on ONNX Runtime. `file` is a Hugging Face BertModel's safetensors
    file; its names tell the number of layers.

    Raises what the libraries do for a file that is broken or of another model.
    """

    def __init__(self, file: Path) -> None:
        # Tensor by tensor, so that the whole is never in memory in floating point.
        with safe_open(file, "numpy") as weights:

            def tensor(name: str) -> Array:
                return np.asarray(weights.get_tensor(name), np.float32)

            layered = [name for name in weights.keys() if name.startswith("encoder.layer.")]
            self.layers = 1 + max(int(name.split(".")[2]) for name in layered)
            self._session = session(EncoderGraph(tensor, self.layers).build())
            # Half as large as in 32 bits, and right to a 2000th.
            self._words = tensor("embeddings.word_embeddings.weight").astype(np.float16)
            self._places = tensor("embeddings.position_embeddings.weight")
            self._places += tensor("embeddings.token_type_embeddings.weight")[0]

    def embed(self, ids: list[int]) -> Array:
        """One text's token ids, with [CLS] and [SEP]; gives a vector of unit length."""
        embeddings = self._words[ids] + self._places[: len(ids)]
        (states,) = self._session.run(["states"], {"embeddings": embeddings[None]})
        mean = states[0].mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), EPSILON), np.float32)
