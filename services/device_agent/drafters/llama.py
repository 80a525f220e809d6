"""llama.cpp with GGUF files, by the optional extra `llama`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from services.device_agent.drafters.cached_stream import CachedStream
from services.device_agent.drafters.port import DrafterFailed, Logits
from services.device_agent.drafters.step_time import StepTime


class LlamaDrafter:
    """A model in llama.cpp, with one context for all streams.

    Another stream's text is rolled back like any other.

    `gpu_layers` -1 puts all layers on the GPU where the build has one. Raises DrafterFailed.
    """

    def __init__(self, *, file: Path, context: int, threads: int = 1, gpu_layers: int = -1) -> None:
        try:
            from llama_cpp import Llama
        except ImportError as exc:
            raise DrafterFailed(
                "--drafter llama needs the package llama-cpp-python: pip install llama-cpp-python"
            ) from exc
        try:
            self.llama: Any = Llama(
                str(file),
                n_ctx=context,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=gpu_layers,
                logits_all=False,
                verbose=False,
            )
        except (ValueError, OSError) as exc:
            raise DrafterFailed(f"{file} can't be loaded: {str(exc).splitlines()[0]}") from exc
        self.name = file.stem
        self.context = context
        self.least_burst = 1
        self.in_place = False
        self.one_context = True
        self.cached: list[int] = []
        self._step_time = StepTime(0.01)

    @property
    def step_s(self) -> float:
        return self._step_time.seconds

    def start(self) -> LlamaStream:
        return LlamaStream(self, self._step_time)

    def close(self) -> None:
        self.llama.close()


class LlamaStream(CachedStream):
    """A stream of LlamaDrafter, in the context that all its streams share."""

    def __init__(self, drafter: LlamaDrafter, step_time: StepTime) -> None:
        super().__init__(drafter.context, step_time, drafter.cached)
        self._drafter = drafter

    def close(self) -> None:
        """The context belongs to the drafter."""

    def _roll_back(self, kept: int) -> None:
        # `eval` removes from the KV cache what lies beyond n_tokens before it computes.
        self._drafter.llama.n_tokens = kept
        del self._written[kept:]

    def _read(self, tokens: list[int]) -> Logits:
        llama = self._drafter.llama
        try:
            llama.eval(tokens)
        except RuntimeError as exc:
            raise DrafterFailed(f"llama.cpp failed: {exc}") from exc
        self._written += tokens
        vocabulary = llama.n_vocab()
        pointer = llama._ctx.get_logits_ith(-1)
        logits: Logits = np.ctypeslib.as_array(pointer, shape=(vocabulary,)).copy()
        return logits
