"""Named sizes of the whole job: model, tokenizer, batches and length of the training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The shape of the backbone and its exits.

    ``exits`` are the depths after which a branch block leads to the shared head; at depth 0 the
    branch follows the embedding.
    """

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    exits: tuple[int, ...]
    vocabulary: int
    context: int = 2048
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named size of the whole job.

    Rates are peak values; ``batch_tokens`` counts padding; ``hours`` bounds wall time.
    ``reading_weight`` is what predicting the user's words counts, in the full model alone.
    """

    name: str
    shape: ModelShape
    steps: int
    hours: float
    batch_tokens: int
    pool_batches: int
    matrix_rate: float
    other_rate: float
    warmup_steps: int
    tokenizer_examples: int
    compute: str
    decay_share: float = 0.2
    exit_weights: tuple[float, ...] = (0.1, 0.2, 1.0)
    distillation: float = 0.5
    reading_weight: float = 0.2
    max_length: int = 512


SMALL = Preset(
    name="small",
    shape=ModelShape(
        hidden=192, layers=8, heads=6, feed_forward=512, exits=(0, 1), vocabulary=1536
    ),
    steps=20_000,
    hours=3.0,
    batch_tokens=4096,
    pool_batches=32,
    matrix_rate=0.006,
    other_rate=1.5e-3,
    warmup_steps=100,
    tokenizer_examples=30_000,
    compute="bfloat16",
)

BASE = Preset(
    name="base",
    # What fits, all three members together, in the 40 MB that a repository should carry.
    shape=ModelShape(
        hidden=320, layers=9, heads=5, feed_forward=768, exits=(0, 1), vocabulary=1536
    ),
    steps=3_000,
    hours=0.5,
    batch_tokens=65_536,
    pool_batches=8,
    matrix_rate=0.006,
    other_rate=1e-3,
    warmup_steps=100,
    tokenizer_examples=30_000,
    compute="bfloat16",
)

TINY = Preset(
    name="tiny",
    shape=ModelShape(
        hidden=64, layers=3, heads=2, feed_forward=128, exits=(0, 1), vocabulary=384, context=512
    ),
    steps=16,
    hours=0.1,
    batch_tokens=1024,
    pool_batches=4,
    matrix_rate=0.02,
    other_rate=5e-3,
    warmup_steps=2,
    tokenizer_examples=300,
    compute="float32",
)

PRESETS = {preset.name: preset for preset in (SMALL, BASE, TINY)}
