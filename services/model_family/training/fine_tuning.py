"""Full fine-tuning of one small member: to a specialist, or in a further pass."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from services.model_family.export.checkpoints import load_member
from services.model_family.training.batches import IGNORE, Batch, BatchSource
from services.model_family.training.checkpoint import Checkpoint
from services.model_family.training.optimizers import Optimizers
from services.model_family.training.plan import TrainingPlan
from services.model_family.training.precision import autocast
from services.model_family.training.schedule import Schedule
from services.model_family.training.trainer import all_right, task_weights, update_means

SAVE_EVERY_SECONDS = 60.0


class FineTuningPlan(TrainingPlan, Protocol):
    """The plan of a fine-tuning, with the member that comes of it."""

    @property
    def name(self) -> str: ...

    @property
    def member(self) -> str: ...


class FineTuningRefused(Exception):
    """The run folder belongs to another seed or another start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuningSettings:
    """The settings of a fine-tuning.

    Rates are peak values; ``seconds`` or ``steps`` end the training, whichever comes first.
    """

    seconds: float = 600.0
    steps: int = 1_000_000
    batch_tokens: int = 4096
    pool_batches: int = 32
    max_length: int = 512
    matrix_rate: float = 0.006
    other_rate: float = 1.5e-3
    warmup_steps: int = 50
    decay_share: float = 0.7


@dataclass(kw_only=True)
class FineTuningProgress:
    """The progress of a fine-tuning; ``accuracy`` has the running mean of each training task."""

    step: int = 0
    pool: int = 0
    tokens: int = 0
    elapsed: float = 0.0
    accuracy: list[float] = field(default_factory=list)


class FineTuner:
    """The fine-tuning of one member.

    ``start`` is the member's folder. ``run_dir`` holds ``checkpoint.pt``; an existing one is
    resumed at the beginning of the pool of data that it had reached.
    """

    def __init__(
        self,
        *,
        plan: FineTuningPlan,
        start: Path,
        run_dir: Path,
        settings: FineTuningSettings,
        seed: int,
    ) -> None:
        self.plan, self.start, self.run_dir = plan, start, run_dir
        self.settings, self.seed = settings, seed
        self.tasks = plan.training_tasks()
        self.model = load_member(start)
        self.optimizers = Optimizers(self.model, settings.matrix_rate, settings.other_rate)
        self.tokenizer = Tokenizer.from_file(str(start / "tokenizer.json"))
        self.source = BatchSource(
            tokenizer=self.tokenizer,
            seed=seed,
            batch_tokens=settings.batch_tokens,
            pool_batches=settings.pool_batches,
            limit=settings.max_length,
            tasks=self.tasks,
        )
        self.progress = FineTuningProgress(accuracy=[0.5] * len(self.tasks))
        self.schedule = Schedule(
            steps=settings.steps,
            seconds=settings.seconds,
            warmup=settings.warmup_steps,
            decay_share=settings.decay_share,
        )
        self.checkpoint = Checkpoint(run_dir, self.model, self.optimizers)
        self.stopping = False

    def resume(self) -> bool:
        """Take up the checkpoint of ``run_dir`` if there is one. Raises FineTuningRefused."""
        state = self.checkpoint.load()
        if state is None:
            return False
        if (state["start"], state["seed"]) != (self.start.name, self.seed):
            raise FineTuningRefused(
                f"{self.run_dir} was trained from {state['start']} with --seed {state['seed']}; "
                "give another --run-dir"
            )
        self.checkpoint.restore(state)
        self.progress = FineTuningProgress(**state["progress"])
        return True

    def save(self) -> None:
        self.checkpoint.save(start=self.start.name, seed=self.seed, progress=vars(self.progress))

    def mix(self, kept: float) -> None:
        """Move every weight back towards the start, by the share ``kept`` of the way."""
        before = load_member(self.start).state_dict()
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                value.lerp_(before[name].to(value.dtype), kept)

    def share(self) -> float:
        """The share of the training that is done, from 0 to 1."""
        return self.schedule.progress(self.progress.step, self.progress.elapsed)

    def finished(self) -> bool:
        return self.share() >= 1

    def run(self) -> None:
        """Train to the schedule's end, or until SIGTERM or SIGINT; leaves a checkpoint."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: setattr(self, "stopping", True))
        before, clock = self.progress.elapsed, time.monotonic()
        saved = clock
        with tqdm(total=100, desc=self.plan.name, unit="%") as bar:
            for batches in self.steps():
                self._record(batches, self.train_step(batches))
                self.progress.elapsed = before + time.monotonic() - clock
                bar.update(int(100 * self.share()) - bar.n)
                bar.set_postfix_str(self._shown())
                if time.monotonic() - saved > SAVE_EVERY_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def steps(self) -> Iterator[list[Batch]]:
        progress = self.progress
        while True:
            weights = self.plan.weights(task_weights(progress.accuracy))
            for step in self.source.pool(progress.pool, weights):
                if self.stopping or self.finished():
                    return
                yield step
            progress.pool += 1

    def train_step(self, batches: Sequence[Batch]) -> Tensor:
        """One update from all of ``batches``; returns which answers are right [answers]."""
        self.optimizers.set_factor(self.schedule.factor(self.progress.step, self.progress.elapsed))
        whole = sum(float(batch.weights().sum()) for batch in batches)
        right = [self._backward(batch, whole) for batch in batches]
        self.optimizers.step()
        return torch.cat(right)

    def _backward(self, batch: Batch, whole: float) -> Tensor:
        in_answers = batch.targets != IGNORE
        targets, weights = batch.targets[in_answers], batch.weights() / whole
        with autocast("cpu", "bfloat16"):
            logits = self.model.logits(self.model(batch.tokens)[-1][in_answers]).float()
        loss = weights @ functional.cross_entropy(logits, targets, reduction="none")
        loss.backward()
        return all_right(logits, targets, batch.answers, len(batch.tasks))

    def _record(self, batches: Sequence[Batch], right: Tensor) -> None:
        progress = self.progress
        progress.step += 1
        progress.tokens += sum(batch.tokens.numel() for batch in batches)
        update_means(progress.accuracy, torch.cat([batch.tasks for batch in batches]), right)

    def _shown(self) -> str:
        rate = self.progress.tokens / max(self.progress.elapsed, 1e-3)
        own = " ".join(f"{100 * right:.0f}" for right in self.progress.accuracy)
        return f"{rate / 1000:.1f} k tokens/s, right: {own} %"
