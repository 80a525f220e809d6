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


@dataclass(frozen=True, slots=True)
class Batch:
    """``tokens`` and ``targets`` [batch, length] (targets ``IGNORE`` off the answers), and the
    index of each row's task [batch]."""

    tokens: Tensor
    targets: Tensor
    tasks: Tensor


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

    def pool(self, number: int, weights: Sequence[float]) -> list[Batch]:
        rng = Random(f"pool:{self._seed}:{number}")
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
        rows.sort(key=lambda row: len(row[0]))
        batches = list(self._cut(rows))
        rng.shuffle(batches)
        return batches

    def _cut(self, rows: list[tuple[list[int], int]]) -> list[Batch]:
        batches, start = [], 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and len(rows[stop][0]) * (stop + 1 - start) <= (
                self._batch_tokens
            ):
                stop += 1
            batches.append(self._tensors(rows[start:stop]))
            start = stop
        return batches

    def _tensors(self, rows: list[tuple[list[int], int]]) -> Batch:
        length = len(rows[-1][0])
        tokens = torch.full((len(rows), length), self._pad)
        targets = torch.full((len(rows), length), IGNORE)
        for row, (ids, _) in enumerate(rows):
            line = torch.tensor(ids)
            wrote = torch.tensor(answer_mask(ids, self._assistant, self._end))
            tokens[row, : len(ids)] = line
            targets[row, : len(ids) - 1] = torch.where(wrote, line, IGNORE)[1:]
        return Batch(tokens, targets, torch.tensor([task for _, task in rows]))
