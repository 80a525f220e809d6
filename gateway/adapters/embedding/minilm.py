"""The `Embedder` in the gateway itself: all-MiniLM-L6-v2, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from tokenizers import Tokenizer

from gateway.adapters.embedding.encoder import Encoder
from gateway.adapters.embedding.files import ModelFiles
from gateway.errors import EmbeddingFailed

log = structlog.get_logger("tierflow.embedding")
MAX_TOKENS = 256
MAX_CHARS = 8192
"""Beyond, a text is cut before it is split into tokens."""


class MiniLm:
    """The embedding model in the gateway's own process. It loads at the first use, about 100 MB
    with its libraries. Raises EmbeddingFailed when its files are broken."""

    name = "minilm"

    def __init__(self, files: ModelFiles) -> None:
        self._files = files
        self._loaded: tuple[Tokenizer, Encoder] | None = None
        self._broken = False
        # One thread: two texts at once would only take turns on the same cores.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._thread, self._one, text) for text in texts]

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _one(self, text: str) -> list[float]:
        tokenizer, model = self._loaded or self._load()
        return [float(x) for x in model.embed(tokenizer.encode(text[:MAX_CHARS]).ids)]

    def _load(self) -> tuple[Tokenizer, Encoder]:
        try:
            tokenizer = Tokenizer.from_file(str(self._files.tokenizer))
            tokenizer.no_padding()
            tokenizer.enable_truncation(MAX_TOKENS)
            model = Encoder(self._files.weights)
            model.embed(tokenizer.encode("a question").ids)
        except Exception as error:
            # What the libraries raise for broken files is of no common kind.
            if not self._broken:
                log.error("embedding_broken", error=type(error).__name__)
            self._broken = True
            raise EmbeddingFailed(
                "the embedding model's files can't be read; install the package anew",
                code="embedding_broken",
            ) from error
        log.info("embedding_ready", layers=model.layers)
        self._loaded, self._broken = (tokenizer, model), False
        return self._loaded
