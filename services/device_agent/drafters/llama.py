"""llama.cpp (GGUF), an optional extra: `pip install llama-cpp-python`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.device_agent.drafters.guesses import Stopwatch, best_two, common_prefix
from services.device_agent.drafters.port import Chooser, DrafterFailed, Guess, Logits


class LlamaDrafter:
    """One context for all streams: another stream's text is rolled back like any other.

    `gpu_layers` -1 puts all layers on the GPU where the build has one. Raises DrafterFailed.
    """

    def __init__(self, file: Path, context: int, threads: int = 1, gpu_layers: int = -1) -> None:
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
        self.cached: list[int] = []
        self._stopwatch = Stopwatch(0.01)

    @property
    def step_s(self) -> float:
        return self._stopwatch.seconds

    def start(self) -> LlamaStream:
        return LlamaStream(self, self._stopwatch)

    def close(self) -> None:
        self.llama.close()


class LlamaStream:
    def __init__(self, drafter: LlamaDrafter, stopwatch: Stopwatch) -> None:
        self._drafter = drafter
        self._stopwatch = stopwatch

    @property
    def cached(self) -> int:
        return len(self._drafter.cached)

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        if not text or len(text) >= self._drafter.context:
            return []
        written = list(text)
        kept = min(common_prefix(self._drafter.cached, written), len(written) - 1)
        self._roll_back(kept)
        count = min(count, self._drafter.context - len(written))
        guesses: list[Guess] = []
        lap = self._stopwatch.lap()
        logits = self._read(written[kept:])
        lap.read(len(written) - kept)
        while True:
            guess = best_two(logits)
            if chooser is not None:
                guess = Guess(chooser.pick(logits), guess.probability)
            guesses.append(guess)
            if len(guesses) >= count or stop(guess):
                break
            logits = self._read([guess.token])
            lap.read(1)
        lap.end()
        return guesses

    def close(self) -> None:
        """The context belongs to the drafter."""

    def _roll_back(self, kept: int) -> None:
        # `eval` removes from the KV cache what lies beyond n_tokens before it computes.
        self._drafter.llama.n_tokens = kept
        del self._drafter.cached[kept:]

    def _read(self, tokens: list[int]) -> Logits:
        llama = self._drafter.llama
        try:
            llama.eval(tokens)
        except RuntimeError as exc:
            raise DrafterFailed(f"llama.cpp failed: {exc}") from exc
        self._drafter.cached += tokens
        vocabulary = llama.n_vocab()
        pointer = llama._ctx.get_logits_ith(-1)
        logits: Logits = np.ctypeslib.as_array(pointer, shape=(vocabulary,)).copy()
        return logits
