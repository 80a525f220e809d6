"""Speculative sampling with full distributions, as published.

Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023,
algorithm 1; Chen et al., "Accelerating Large Language Model Decoding with Speculative Sampling",
2023, algorithm 2. Pure: random numbers come in as arguments.

Shapes: V is the vocabulary, k the number of drafts. A distribution is float64 [V], sum 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Distribution = NDArray[np.float64]


def adjusted(
    logits: NDArray[np.floating], temperature: float, top_k: int = 0, top_p: float = 1.0
) -> Distribution:
    """What is sampled from, [V]: temperature, then the k likeliest, then the fewest of mass p.

    The order and the ties are vLLM's (v1/sample/ops/topk_topp_sampler.py): all that are as likely
    as the k-th stay; of the least likely, those go that together have at most 1 - p.
    Temperature 0 puts all mass on the first of the likeliest.
    """
    values = logits.astype(np.float64)
    if temperature == 0:
        return one_hot(int(values.argmax()), len(values))
    values = values / temperature
    if 0 < top_k < len(values):
        values = np.where(values < np.sort(values)[-top_k], -np.inf, values)
    exponentials = np.exp(values - values.max())
    p: Distribution = exponentials / exponentials.sum()
    if top_p < 1:
        order = np.argsort(values, kind="stable")
        gone = np.cumsum(p[order]) <= 1 - top_p
        gone[-1] = False
        p[order[gone]] = 0
        p /= p.sum()
    return p


def one_hot(token: int, size: int) -> Distribution:
    row = np.zeros(size)
    row[token] = 1
    return row


def acceptance(p: Distribution, q: Distribution | None, token: int) -> float:
    """The probability to accept `token`, drawn from `q`; None: it was the drafter's argmax."""
    drafted = 1.0 if q is None else float(q[token])
    return min(1.0, float(p[token]) / drafted) if drafted > 0 else 0.0


def residual(p: Distribution, q: Distribution | None, token: int) -> Distribution:
    """What to sample from when `token` was rejected: norm(max(0, p - q)).

    Where nothing remains, p is q, and no token that q can draw is ever rejected.
    """
    rest = np.maximum(0, p - (one_hot(token, len(p)) if q is None else q))
    total = rest.sum()
    return rest / total if total > 0 else p


def draw(p: Distribution, uniform: float) -> int:
    """The token in whose interval of the cumulated distribution `uniform`, in [0, 1), lies."""
    cumulated = np.cumsum(p)
    return int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right"))


def verify(
    targets: Sequence[Distribution],
    drafters: Sequence[Distribution | None],
    drafts: Sequence[int],
    uniforms: Sequence[float],
) -> list[int]:
    """The tokens that one step says: accepted drafts, then one of the target's own.

    `targets`: k + 1 distributions, the i-th after the first i drafts; `drafters`: k; `drafts`: k
    tokens; `uniforms`: 2k + 1 independent numbers in [0, 1).
    """
    said: list[int] = []
    for i, (token, q) in enumerate(zip(drafts, drafters, strict=True)):
        p = targets[i]
        if uniforms[2 * i] >= acceptance(p, q, token):
            return [*said, draw(residual(p, q, token), uniforms[2 * i + 1])]
        said.append(token)
    return [*said, draw(targets[len(drafts)], uniforms[2 * len(drafts)])]
