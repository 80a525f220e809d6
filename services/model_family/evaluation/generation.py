"""Greedy answers of one exported member through transformers, with a KV cache."""

# Torch is not installed where types are checked.
# mypy: allow-untyped-decorators
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM

from services.model_family.chat import END, PAD, ask
from services.model_family.tokenizer import token_id

MAX_NEW_TOKENS = 96


class Member:
    """A member, loaded from its folder in float32 on the CPU."""

    def __init__(self, folder: Path) -> None:
        # Members are small: on a shared machine, a second thread waits longer than it computes.
        torch.set_num_threads(1)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.end = token_id(self.tokenizer, END)
        self.pad = token_id(self.tokenizer, PAD)
        # Not the stored default, which is for servers.
        self.model.generation_config.temperature = None

    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    @torch.no_grad()
    def answers(
        self, prompts: Sequence[str], batch: int = 32, advance: Callable[[int], object] = int
    ) -> list[list[int]]:
        """Token ids of each answer, ``<|end|>`` included.

        ``advance`` is called with the number of answers that were made since its last call.
        """
        encoded = [self.tokenizer.encode(ask(prompt)).ids for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
        results: list[list[int]] = [[] for _ in prompts]
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            for index, ids in zip(chosen, self._batch([encoded[i] for i in chosen]), strict=True):
                results[index] = ids
            advance(len(chosen))
        return results

    def _batch(self, prompts: list[list[int]]) -> list[list[int]]:
        longest = max(map(len, prompts))
        tokens = torch.tensor([[self.pad] * (longest - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        output = self.model.generate(
            input_ids=tokens, attention_mask=mask, max_new_tokens=MAX_NEW_TOKENS, do_sample=False
        )
        return [self._until_end(row[longest:].tolist()) for row in output]

    def _until_end(self, ids: list[int]) -> list[int]:
        return ids[: ids.index(self.end) + 1] if self.end in ids else ids

    def text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids))

    @torch.no_grad()
    def greedy_matches(
        self, prompts: Sequence[str], answers: Sequence[Sequence[int]], batch: int = 32
    ) -> list[list[bool]]:
        """Per answer token given, whether this member would have chosen it in its place."""
        matches: list[list[bool]] = []
        heads = [self.tokenizer.encode(ask(prompt)).ids for prompt in prompts]
        for start in range(0, len(heads), batch):
            pairs = list(zip(heads, answers, strict=True))[start : start + batch]
            rows = [torch.tensor([*head, *answer]) for head, answer in pairs]
            tokens = pad_sequence(rows, batch_first=True, padding_value=self.pad)
            chosen = self.model(tokens).logits.argmax(-1)
            for row, (head, answer) in enumerate(pairs):
                picks = chosen[row, len(head) - 1 : len(head) + len(answer) - 1].tolist()
                matches.append([a == b for a, b in zip(picks, answer, strict=True)])
        return matches

    @torch.no_grad()
    def tokens_per_second(self, new_tokens: int = 64, repeats: int = 3) -> float:
        """Median decoding rate of one request on one core, its short prefill included."""
        tokens = torch.tensor([self.tokenizer.encode(ask("What is 12 + 30?")).ids])
        rates = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            self.model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                min_new_tokens=new_tokens,
                max_new_tokens=new_tokens,
                do_sample=False,
            )
            rates.append(new_tokens / (time.perf_counter() - start))
        return sorted(rates[1:])[repeats // 2]
