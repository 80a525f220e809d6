"""The optimizers: Muon for the matrices of hidden layers, AdamW for all other weights.

Muon is by Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
"""

# Torch is not installed where types are checked.
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from services.model_family.model import FamilyModel
from services.model_family.training.precision import fast_bfloat16

# Quintic Newton-Schulz coefficients of the reference implementation.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly, to ``update`` [rows, columns].

    Computed in bfloat16 where that is fast, on a contiguous wide matrix: both save time.
    """
    a, b, c = COEFFICIENTS
    tall = update.shape[0] > update.shape[1]
    x = update.mT if tall else update
    kind = torch.bfloat16 if fast_bfloat16(x.device.type) else torch.float32
    x = (x / (x.norm() + 1e-7)).to(kind).contiguous()
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """The optimizer Muon: Nesterov momentum whose update is made orthogonal.

    It is for matrices of hidden layers only.

    Without weight decay the queries and keys grow until attention is a hard choice that no
    gradient can change any more (Kimi K2, section 2.1, meets the same with QK-clip).
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_one(group, parameter)

    def _step_one(self, group: dict[str, Any], parameter: Any) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        update = orthogonalise(parameter.grad.lerp(state["momentum"], group["momentum"]))
        # Tall matrices take larger steps.
        scale = group["lr"] * max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-scale)


class Optimizers:
    """The optimizers of one model: Muon for its hidden matrices, AdamW for embeddings and norms.

    ``matrix_rate`` and ``other_rate`` are the peaks of their learning rates.
    """

    def __init__(self, model: FamilyModel, matrix_rate: float, other_rate: float) -> None:
        named = list(model.named_parameters())
        self.parameters = [parameter for _, parameter in named]
        self.rates = (matrix_rate, other_rate)
        self.torch_optimizers: list[torch.optim.Optimizer] = [
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
        for optimizer, rate in zip(self.torch_optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def step(self) -> None:
        """One update from the gradients, clipped to norm 1, which are then dropped."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.torch_optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
