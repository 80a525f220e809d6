"""Picks tokens for answers that no server verifies: temperature, top-k and top-p, as vLLM does."""

from __future__ import annotations

import numpy as np

from services.device_agent.drafters.port import Logits


class Sampler:
    """Greedy at temperature 0. The same seed gives the same answer on the same device."""

    def __init__(self, temperature: float, top_p: float, top_k: int, seed: int | None) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.top_k = top_k
        self.seed = seed
        self._random = np.random.default_rng(abs(seed) if seed is not None else None)

    def pick(self, logits: Logits) -> int:
        if self.temperature < 1e-5:
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / self.temperature
        order = np.argsort(-scaled, kind="stable")
        if self.top_k > 0:
            order = order[: self.top_k]
        weights = np.exp(scaled[order] - scaled[order[0]])
        weights /= weights.sum()
        if self.top_p < 1:
            # The smallest set that reaches top_p, never empty.
            kept = int(np.searchsorted(np.cumsum(weights), self.top_p)) + 1
            order, weights = order[:kept], weights[:kept] / weights[:kept].sum()
        return int(self._random.choice(order, p=weights))
