"""Which optimizer trains which weights, and their learning rates."""

from __future__ import annotations

import torch

from services.model_family.model import FamilyModel
from services.model_family.muon import Muon


class Optimizers:
    """Muon for the matrices of hidden layers, AdamW for embeddings and norms.

    ``matrix_rate`` and ``other_rate`` are the peaks of their learning rates.
    """

    def __init__(self, model: FamilyModel, matrix_rate: float, other_rate: float) -> None:
        named = list(model.named_parameters())
        self.parameters = [parameter for _, parameter in named]
        self.rates = (matrix_rate, other_rate)
        self.each: list[torch.optim.Optimizer] = [
            Muon([p for n, p in named if p.ndim == 2 and "embed" not in n], lr=matrix_rate),
            torch.optim.AdamW(
                [p for n, p in named if p.ndim < 2 or "embed" in n],
                lr=other_rate,
                betas=(0.9, 0.95),
                weight_decay=0.0,
            ),
        ]

    def set_factor(self, factor: float) -> None:
        """Multiplies the peak rates."""
        for optimizer, rate in zip(self.each, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def step(self) -> None:
        """One update from the gradients, clipped to norm 1, which are then dropped."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.each:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
