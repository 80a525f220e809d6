"""The backbone with its early exits, shaped so that each exit is an ordinary Llama model.

Early exit with scalable branches: exit ``k`` runs the first ``k`` backbone blocks, a branch
block of its own, a norm of its own and the shared (tied) head; the full depth is the last exit.
"""

# Torch is not installed where types are checked.
# mypy: allow-subclassing-any
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.model_family.initial_heads import set_previous_token_heads, share_direction
from services.model_family.presets import ModelShape

# Distances, in tokens, that heads see from the start in blocks that read the embeddings.
LOOK_BACK = (1, 2, 3)


class Norm(nn.Module):
    """The root-mean-square norm of a Llama block."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # The weight follows x's type: a mixed pair falls back to an unfused kernel.
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """The causal self-attention of a Llama block, with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(width, width, bias=False))

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            project(x).view(batch, length, self.heads, -1).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, *rotary), rotate(k, *rotary)
        if x.is_cuda:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            # On CPUs and short sequences, plain products train 1.4 times as fast as the fused op.
            scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)) + mask
            y = torch.matmul(torch.softmax(scores, -1).to(v.dtype), v)
        out: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, length, width))
        return out


class FeedForward(nn.Module):
    """The gated feed-forward layer of a Llama block."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """A Llama decoder layer; submodule names are those of a Llama checkpoint."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden, shape.norm_eps)
        self.self_attn = Attention(shape.hidden, shape.heads)
        self.post_attention_layernorm = Norm(shape.hidden, shape.norm_eps)
        self.mlp = FeedForward(shape.hidden, shape.feed_forward)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class FamilyModel(nn.Module):
    """The members in one; ``forward`` gives the features of each exit, smallest first."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.branches = nn.ModuleList(Block(shape) for _ in shape.exits)
        self.norms = nn.ModuleList(
            Norm(shape.hidden, shape.norm_eps) for _ in range(len(shape.exits) + 1)
        )
        depth = (2 * shape.layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 if "embed" in name else 0.05)
                if last:
                    parameter.data.mul_(depth)
        with torch.no_grad():
            share_direction(self.embed_tokens.weight)
            for block in (self.blocks[0], *(self.branches[:1] if 0 in shape.exits else ())):
                queries, keys = block.self_attn.q_proj.weight, block.self_attn.k_proj.weight
                set_previous_token_heads(queries, keys, shape, LOOK_BACK[: max(1, shape.heads - 2)])

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """``tokens`` [batch, length] to one [batch, length, hidden] (normed) per exit."""
        x = self.embed_tokens(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        rotary, mask = positions(tokens.shape[1], self.shape, x)
        features = []
        for depth in range(self.shape.layers + 1):
            if depth > 0:
                x = self.blocks[depth - 1](x, rotary, mask)
            if depth in self.shape.exits:
                at = self.shape.exits.index(depth)
                features.append(self.norms[at](self.branches[at](x, rotary, mask)))
        features.append(self.norms[-1](x))
        return features

    def logits(self, features: Tensor) -> Tensor:
        return functional.linear(features, self.embed_tokens.weight)


def positions(length: int, shape: ModelShape, like: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Rotary cosines and sines [length, head] and the causal mask [length, length]."""
    head = shape.hidden // shape.heads
    steps = torch.arange(0, head, 2, device=like.device, dtype=torch.float32) / head
    angles = torch.outer(
        torch.arange(length, device=like.device, dtype=torch.float32), shape.rope_theta**-steps
    )
    angles = torch.cat((angles, angles), -1)
    mask = torch.full((length, length), float("-inf"), device=like.device, dtype=like.dtype)
    return (angles.cos().to(like.dtype), angles.sin().to(like.dtype)), mask.triu(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in the half-split layout of Llama checkpoints."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
