"""Conversations as padded token batches, sorted by length so that little is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.model_family.chat import ASSISTANT, END, PAD, Message, render
from services.model_family.dataset import conversation
from services.model_family.tasks.example import Task
from services.model_family.tasks.registry import TASKS
from services.model_family.tokenizer import token_id

IGNORE = -100
STRATA = 2

# Token ids, and the task of each answer.
Row = tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A padded batch of conversations.

    ``tokens``, ``targets`` and ``others`` are [batch, length]. ``targets`` are the tokens of
    answers, ``others`` those of the user, each ``IGNORE`` elsewhere. ``answers`` [answer tokens]
    numbers the answer that each target token belongs to, in the order of ``targets``; ``tasks``
    [answers] is the index of each answer's task.
    """

    tokens: Tensor
    targets: Tensor
    others: Tensor
    answers: Tensor
    tasks: Tensor

    def weights(self) -> Tensor:
        """The weight of each answer token in the loss [answer tokens].

        It is one over the root of the answer's length: short answers count as well as long ones.
        """
        return self.answers.bincount().float().rsqrt()[self.answers]

    def to(self, device: str) -> Batch:
        return Batch(
            tokens=self.tokens.to(device),
            targets=self.targets.to(device),
            others=self.others.to(device),
            answers=self.answers.to(device),
            tasks=self.tasks,
        )


def answer_numbers(ids: Sequence[int], assistant: int, end: int) -> list[int]:
    """Which answer each token belongs to, its closing ``<|end|>`` included; -1 off the answers."""
    numbers, inside, count = [], False, 0
    for token in ids:
        numbers.append(count - 1 if inside else -1)
        if token == assistant:
            inside, count = True, count + 1
        elif token == end:
            inside = False
    return numbers


class BatchSource:
    """The source of batches, in pools.

    A pool is a pure function of the seed, its number and the weights. ``limit`` is the longest
    conversation in tokens.
    """

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        seed: int,
        batch_tokens: int,
        pool_batches: int,
        limit: int,
        tasks: Sequence[Task] = TASKS,
    ) -> None:
        self._tasks = tasks
        self._tokenizer = tokenizer
        self._seed = seed
        self._batch_tokens = batch_tokens
        self._pool_tokens = batch_tokens * pool_batches
        self._limit = limit
        self._pad = token_id(tokenizer, PAD)
        self._assistant = token_id(tokenizer, ASSISTANT)
        self._end = token_id(tokenizer, END)

    def pool(self, number: int, weights: Sequence[float]) -> list[list[Batch]]:
        """Steps of several batches each, from the shortest to the longest conversations: a step
        of one length alone would see few of the tasks."""
        rng = Random(f"pool:{self._seed}:{number}")
        rows = self._rows(rng, weights)
        rows.sort(key=lambda row: len(row[0]))
        batches = self._cut(rows, self._batch_tokens // STRATA)
        size = len(batches) // STRATA
        if size == 0:
            return [batches]
        while len(batches) > STRATA * size:
            # Any one: otherwise the longest conversations would go each time.
            del batches[rng.randrange(len(batches))]
        strata = [batches[at * size : (at + 1) * size] for at in range(STRATA)]
        for stratum in strata:
            rng.shuffle(stratum)
        return [list(step) for step in zip(*strata, strict=True)]

    def _rows(self, rng: Random, weights: Sequence[float]) -> list[Row]:
        rows: list[Row] = []
        total = 0
        while total < self._pool_tokens:
            drawn = [conversation(rng, weights, self._tasks) for _ in range(256)]
            texts: list[list[Message]] = [messages for _, messages in drawn]
            encoded = self._tokenizer.encode_batch_fast([render(m) for m in texts])
            for (tasks, _), line in zip(drawn, encoded, strict=True):
                if len(line.ids) <= self._limit:
                    rows.append((line.ids, tasks))
                    total += len(line.ids)
        return rows

    def _cut(self, rows: list[Row], budget: int) -> list[Batch]:
        batches, start = [], 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and len(rows[stop][0]) * (stop + 1 - start) <= budget:
                stop += 1
            batches.append(self._tensors(rows[start:stop]))
            start = stop
        return batches

    def _tensors(self, rows: list[Row]) -> Batch:
        length = len(rows[-1][0])
        tokens = torch.full((len(rows), length), self._pad)
        targets = torch.full((len(rows), length), IGNORE)
        others = torch.full((len(rows), length), IGNORE)
        answers: list[int] = []
        tasks: list[int] = []
        for row, (ids, asked) in enumerate(rows):
            line = torch.tensor(ids)
            numbers = answer_numbers(ids, self._assistant, self._end)
            answers += [len(tasks) + number for number in numbers if number >= 0]
            tasks += asked
            wrote = torch.tensor(numbers) >= 0
            tokens[row, : len(ids)] = line
            targets[row, : len(ids) - 1] = torch.where(wrote, line, IGNORE)[1:]
            others[row, : len(ids) - 1] = torch.where(wrote, IGNORE, line)[1:]
        return Batch(
            tokens=tokens,
            targets=targets,
            others=others,
            answers=torch.tensor(answers),
            tasks=torch.tensor(tasks),
        )
