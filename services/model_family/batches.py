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
from services.model_family.tokenizer import token_id

IGNORE = -100
STRATA = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """``tokens`` and ``targets`` [batch, length] (targets ``IGNORE`` off the answers, ``others``
    the same for what the user says), the index of each row's task [batch], and what an answer
    token of each row counts in the loss [batch]: one over the root of the answer's length, lest
    long answers drown the short ones."""

    tokens: Tensor
    targets: Tensor
    others: Tensor
    tasks: Tensor
    counts: Tensor

    def weights(self) -> Tensor:
        """What each answer token counts [answer tokens], in the order of ``targets``."""
        return self.counts[(self.targets != IGNORE).nonzero()[:, 0]]

    def to(self, device: str) -> Batch:
        return Batch(
            self.tokens.to(device),
            self.targets.to(device),
            self.others.to(device),
            self.tasks,
            self.counts.to(device),
        )


def answer_mask(ids: Sequence[int], assistant: int, end: int) -> list[bool]:
    """Which tokens an assistant wrote, its closing ``<|end|>`` included."""
    mask, inside = [], False
    for token in ids:
        mask.append(inside)
        if token == assistant:
            inside = True
        elif token == end:
            inside = False
    return mask


class BatchSource:
    """Pools of batches, each a pure function of the seed, the pool's number and the weights."""

    def __init__(
        self, tokenizer: Tokenizer, seed: int, batch_tokens: int, pool_batches: int, limit: int
    ) -> None:
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
        strata = [batches[at * size : (at + 1) * size] for at in range(STRATA)]
        for stratum in strata:
            rng.shuffle(stratum)
        return [list(step) for step in zip(*strata, strict=True)]

    def _rows(self, rng: Random, weights: Sequence[float]) -> list[tuple[list[int], int]]:
        rows: list[tuple[list[int], int]] = []
        total = 0
        while total < self._pool_tokens:
            drawn = [conversation(rng, weights) for _ in range(256)]
            texts: list[list[Message]] = [messages for _, messages in drawn]
            encoded = self._tokenizer.encode_batch_fast([render(m) for m in texts])
            for (task, _), line in zip(drawn, encoded, strict=True):
                if len(line.ids) <= self._limit:
                    rows.append((line.ids, task))
                    total += len(line.ids)
        return rows

    def _cut(self, rows: list[tuple[list[int], int]], budget: int) -> list[Batch]:
        batches, start = [], 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and len(rows[stop][0]) * (stop + 1 - start) <= budget:
                stop += 1
            batches.append(self._tensors(rows[start:stop]))
            start = stop
        return batches

    def _tensors(self, rows: list[tuple[list[int], int]]) -> Batch:
        length = len(rows[-1][0])
        tokens = torch.full((len(rows), length), self._pad)
        targets = torch.full((len(rows), length), IGNORE)
        others = torch.full((len(rows), length), IGNORE)
        for row, (ids, _) in enumerate(rows):
            line = torch.tensor(ids)
            wrote = torch.tensor(answer_mask(ids, self._assistant, self._end))
            tokens[row, : len(ids)] = line
            targets[row, : len(ids) - 1] = torch.where(wrote, line, IGNORE)[1:]
            others[row, : len(ids) - 1] = torch.where(wrote, IGNORE, line)[1:]
        counts = (targets != IGNORE).sum(1).clamp(min=1).float().rsqrt()
        return Batch(tokens, targets, others, torch.tensor([task for _, task in rows]), counts)
