"""The training loop: all exits together, the tasks weighted by what the full model lacks."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from services.model_family.dataset import FOLLOW_UP
from services.model_family.members import TIERS
from services.model_family.model import FamilyModel
from services.model_family.presets import Preset
from services.model_family.training.batches import IGNORE, Batch, BatchSource
from services.model_family.training.checkpoint import Checkpoint
from services.model_family.training.optimizers import Optimizers
from services.model_family.training.plan import TrainingPlan
from services.model_family.training.precision import autocast
from services.model_family.training.schedule import Schedule
from services.model_family.training.thread_count import ThreadChooser

# Per example, so that the running means span the last 200 or so of each task.
SMOOTHING = 0.995
LOG_EVERY = 10
SAVE_EVERY_SECONDS = 60.0


class TrainingRefused(Exception):
    """The run folder belongs to another preset or another tokenizer."""


@dataclass(kw_only=True)
class TrainingProgress:
    """The progress of a training, which a checkpoint stores beside the weights.

    Accuracies are running means per exit.
    ``pool``, ``offset`` and ``weights`` (of the tasks, as the pool began) name the next batch.
    """

    step: int = 0
    pool: int = 0
    offset: int = 0
    weights: list[float] = field(default_factory=list)
    tokens: int = 0
    elapsed: float = 0.0
    accuracy: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class StepResult:
    """The loss of each exit, and per exit which answers were right [answers]."""

    losses: list[float]
    right: list[Tensor]


class Trainer:
    """The training of one family.

    ``run_dir`` holds ``checkpoint.pt`` and ``log.jsonl``; an existing checkpoint is resumed.
    Without ``start`` the weights are drawn from ``seed``.
    """

    def __init__(
        self,
        *,
        preset: Preset,
        tokenizer: Tokenizer,
        run_dir: Path,
        seed: int,
        plan: TrainingPlan,
        start: FamilyModel | None = None,
    ) -> None:
        torch.manual_seed(seed)
        shape = replace(preset.shape, vocabulary=tokenizer.get_vocab_size())
        preset = replace(preset, shape=shape if start is None else start.shape)
        self.preset, self.run_dir = preset, run_dir
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = (FamilyModel(preset.shape) if start is None else start).to(self.device)
        self.optimizers = Optimizers(self.model, preset.matrix_rate, preset.other_rate)
        self.source = BatchSource(
            tokenizer=tokenizer,
            seed=seed,
            batch_tokens=preset.batch_tokens,
            pool_batches=preset.pool_batches,
            limit=preset.max_length,
            tasks=plan.training_tasks(),
        )
        self.plan = plan
        count = len(plan.training_tasks())
        self.progress = TrainingProgress(
            weights=plan.weights([1.0] * count), accuracy=[[0.0] * count for _ in TIERS]
        )
        self.schedule = Schedule(
            steps=preset.steps,
            seconds=preset.hours * 3600,
            warmup=preset.warmup_steps,
            decay_share=preset.decay_share,
        )
        self.checkpoint = Checkpoint(run_dir, self.model, self.optimizers)
        self.stopping = False

    def resume(self) -> bool:
        """Take up the checkpoint of ``run_dir`` if there is one. Raises TrainingRefused."""
        state = self.checkpoint.load(self.device)
        if state is None:
            return False
        if state["preset"] != self.preset.name:
            raise TrainingRefused(
                f"{self.run_dir} was trained with preset {state['preset']}, not "
                f"{self.preset.name}; give another --run-dir"
            )
        self.checkpoint.restore(state)
        self.progress = TrainingProgress(**state["progress"])
        began, seconds = state["decay"]
        if began is not None:
            self.schedule.begin_decay(began, seconds)
        return True

    def begin_decay(self, seconds: float) -> None:
        """Lower the learning rates to zero over ``seconds`` of training, then end."""
        self.schedule.begin_decay(self.progress.elapsed, seconds)

    def save(self) -> None:
        self.checkpoint.save(
            preset=self.preset.name,
            shape=asdict(self.preset.shape),
            progress=vars(self.progress),
            decay=(self.schedule.decay_began, self.schedule.decay_seconds),
        )

    def run(self, stop_at: int | None = None) -> None:
        """Train to the schedule's end, to step ``stop_at``, or until SIGTERM or SIGINT.

        Each leaves a checkpoint from which the same run goes on.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: setattr(self, "stopping", True))
        clock = saved = time.monotonic()
        before = self.progress.elapsed
        threads = ThreadChooser(torch.get_num_threads())
        with (
            tqdm(total=self.preset.steps, initial=self.progress.step, unit="step") as bar,
            (self.run_dir / "log.jsonl").open("a") as log,
        ):
            for batches in self.steps(stop_at):
                began = time.monotonic()
                result = self.train_step(batches)
                self.progress.elapsed = before + time.monotonic() - clock
                if self.device == "cpu":
                    tokens = sum(batch.tokens.numel() for batch in batches)
                    rate = tokens / (time.monotonic() - began)
                    torch.set_num_threads(threads.next_count(rate))
                self._record(batches, result, log, bar)
                if time.monotonic() - saved > SAVE_EVERY_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def steps(self, stop_at: int | None = None) -> Iterator[list[Batch]]:
        """From the stored place on, until the schedule ends or a signal came."""
        progress = self.progress
        while True:
            for step in self.source.pool(progress.pool, progress.weights)[progress.offset :]:
                if self.stopping or self.finished() or progress.step == stop_at:
                    return
                yield step
            progress.pool, progress.offset = progress.pool + 1, 0
            progress.weights = self.plan.weights(task_weights(progress.accuracy[-1]))

    def finished(self) -> bool:
        return self.schedule.progress(self.progress.step, self.progress.elapsed) >= 1

    def train_step(self, batches: Sequence[Batch]) -> StepResult:
        """One update from the gradient over all of ``batches``."""
        self.optimizers.set_factor(self.schedule.factor(self.progress.step, self.progress.elapsed))
        whole = sum(float(batch.weights().sum()) for batch in batches)
        losses = [0.0] * len(TIERS)
        right = []
        for batch in batches:
            parts, hits = self._backward(batch.to(self.device), whole)
            losses = [a + b for a, b in zip(losses, parts, strict=True)]
            right.append(hits)
        self.optimizers.step()
        return StepResult(losses, [torch.cat(hits) for hits in zip(*right, strict=True)])

    def _backward(self, batch: Batch, whole: float) -> tuple[list[float], list[Tensor]]:
        """Adds this batch's gradient; returns its part of each loss and which answers are right."""
        in_answers, in_questions = batch.targets != IGNORE, batch.others != IGNORE
        targets = batch.targets[in_answers]
        with autocast(self.device, self.preset.compute):
            features = self.model(batch.tokens)
            logits = [
                self.model.logits(exit_features[in_answers]).float() for exit_features in features
            ]
            reads = self.preset.reading_weight > 0
            read = self.model.logits(features[-1][in_questions]).float() if reads else None
        weights = batch.weights()
        total, losses = family_loss(logits, targets, weights / whole, self.preset)
        if read is not None:
            reading = functional.cross_entropy(read, batch.others[in_questions])
            share = self.preset.reading_weight * float(weights.sum()) / whole
            total = total + share * reading
        total.backward()
        right = [
            all_right(exit_logits, targets, batch.answers, len(batch.tasks))
            for exit_logits in logits
        ]
        return losses, right

    def _record(self, batches: Sequence[Batch], result: StepResult, log: Any, bar: Any) -> None:
        progress = self.progress
        progress.step += 1
        progress.offset += 1
        progress.tokens += sum(batch.tokens.numel() for batch in batches)
        tasks = torch.cat([batch.tasks for batch in batches])
        for means, right in zip(progress.accuracy, result.right, strict=True):
            update_means(means, tasks, right)
        bar.update(1)
        if progress.step % LOG_EVERY == 0 or progress.step == 1:
            overall = [sum(means) / len(means) for means in progress.accuracy]
            bar.set_postfix_str(
                " ".join(f"{t} {x:.2f}" for t, x in zip(TIERS, result.losses, strict=True))
            )
            line = {
                "step": progress.step,
                "tokens": progress.tokens,
                "seconds": round(progress.elapsed, 1),
                "rate": self.schedule.factor(progress.step, progress.elapsed),
                "losses": result.losses,
                "right": overall,
            }
            log.write(json.dumps(line) + "\n")
            log.flush()


def family_loss(
    logits: list[Tensor], targets: Tensor, weights: Tensor, preset: Preset
) -> tuple[Tensor, list[float]]:
    """The weighted sum over exits, and each exit's cross-entropy in nats.

    ``logits`` [tokens, vocabulary] per exit; ``weights`` [tokens] are what each token counts.
    Early exits also learn from the full model's distribution (Hinton et al. 2015).
    """
    teacher = functional.log_softmax(logits[-1].detach(), -1)
    total = logits[-1].new_zeros(())
    losses = []
    for exit_logits, exit_weight in zip(logits, preset.exit_weights, strict=True):
        student = functional.log_softmax(exit_logits, -1)
        loss = weights @ functional.nll_loss(student, targets, reduction="none")
        losses.append(float(loss.detach()))
        if exit_logits is not logits[-1] and preset.distillation > 0:
            match = functional.kl_div(student, teacher, log_target=True, reduction="none")
            loss = torch.lerp(loss, weights @ match.sum(-1), preset.distillation)
        total = total + exit_weight * loss
    return total, losses


def all_right(logits: Tensor, targets: Tensor, answers: Tensor, count: int) -> Tensor:
    """Per answer of the batch [count], whether each of its tokens is the most likely one."""
    wrong = (logits.argmax(-1) != targets).float()
    missed = torch.zeros(count, device=logits.device).index_add_(0, answers, wrong)
    return (missed == 0).cpu()


def update_means(means: list[float], tasks: Tensor, right: Tensor) -> None:
    """Update, in place, the running means by task with which answers are ``right`` [answers]."""
    for task in tasks[tasks != FOLLOW_UP].unique().tolist():
        of_task = tasks == task
        kept = SMOOTHING ** int(of_task.sum())
        means[task] = kept * means[task] + (1 - kept) * float(right[of_task].float().mean())


def task_weights(accuracy: Sequence[float]) -> list[float]:
    """Tasks that are answered wrongly are drawn up to five times as often."""
    return [0.25 + (1 - right) for right in accuracy]
