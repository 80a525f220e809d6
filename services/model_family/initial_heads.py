"""Initial attention heads that see the tokens just before, which training finds only late."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from services.model_family.presets import ModelShape

# Radians per token of the rotary pairs that place a head, and the share of each in the score:
# together they single out one distance, which one of them alone would repeat.
ANGLES = (1.0, 0.56, 0.32)
SHARES = (0.45, 0.30, 0.25)

# The score of the token looked back at; the next best gets about three less.
PEAK = 12.0


def share_direction(embedding: Tensor) -> None:
    """Give every row of ``embedding`` [vocabulary, hidden], in place, the same first component,
    as long as the rest of it. A tied head then adds the same to all logits, which changes no
    probability."""
    embedding[:, 0] = float(embedding.norm(dim=1).mean())


def set_previous_token_heads(
    queries: Tensor, keys: Tensor, shape: ModelShape, distances: tuple[int, ...]
) -> None:
    """Set, in place, one head for each of ``distances`` (in tokens).

    Copying and looking up need to know what stood before a token (induction heads, Olsson et al.
    2022), which a model finds late. Rotary attention reaches a fixed distance if all queries and
    all keys have a direction in common: that of ``share_direction``. ``queries`` and ``keys``
    [hidden, hidden] are the projections of a block that reads the embeddings.
    """
    head = shape.hidden // shape.heads
    # Of the normed embedding, whose root mean square is one.
    component = (shape.hidden / 2) ** 0.5
    for at, distance in enumerate(distances):
        key, query = torch.zeros(head), torch.zeros(head)
        for angle, share in zip(ANGLES, SHARES, strict=True):
            pair = round(head / 2 * math.log(1 / angle, shape.rope_theta))
            turn = shape.rope_theta ** (-2 * pair / head) * distance
            length = (share * PEAK * head**0.5) ** 0.5 / component
            key[pair] = length
            query[pair] = length * math.cos(turn)
            query[pair + head // 2] = -length * math.sin(turn)
        rows = slice(at * head, (at + 1) * head)
        for matrix, first in ((queries, query), (keys, key)):
            matrix[rows] = 0
            matrix[rows, 0] = first
