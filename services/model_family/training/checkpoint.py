"""The checkpoint of a training, from which the same training goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from services.model_family.training.optimizers import Optimizers


class Checkpoint:
    """The file in a run folder that holds a training's weights, optimizers and progress.

    What else belongs to a training is given as further values, and is there again after `load`.
    """

    def __init__(self, run_dir: Path, model: Any, optimizers: Optimizers) -> None:
        self.path = run_dir / "checkpoint.pt"
        self._model = model
        self._optimizers = optimizers

    def load(self, device: str = "cpu") -> dict[str, Any] | None:
        """What the file holds, if there is one. Changes nothing: see `restore`."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Give model and optimizers what `load` has read."""
        self._model.load_state_dict(state["model"])
        for optimizer, saved in zip(
            self._optimizers.torch_optimizers, state["optimizers"], strict=True
        ):
            optimizer.load_state_dict(saved)

    def save(self, **values: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        state = {
            **values,
            "model": self._model.state_dict(),
            "optimizers": [
                optimizer.state_dict() for optimizer in self._optimizers.torch_optimizers
            ],
        }
        torch.save(state, partial)
        partial.replace(self.path)
