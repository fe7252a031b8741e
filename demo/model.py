"""A small decoder-only transformer whose attention logits can be looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.shape import SEQ_LEN, Shape

ROPE_BASE = 10_000.0


@dataclass
class Probe:
    """What a forward pass saw, layer by layer; filled only when a caller asks."""

    max_logit: list[Tensor] = field(default_factory=list)
    max_abs_logit: list[Tensor] = field(default_factory=list)
    entropy: list[Tensor] = field(default_factory=list)
    act_rms: list[Tensor] = field(default_factory=list)

    def see_attention(self, logits: Tensor, weights: Tensor) -> None:
        """Take maxima over unmasked pairs and the entropy in nats, mean over queries and heads."""
        finite = logits.masked_fill(logits == -math.inf, 0.0)
        self.max_logit.append(logits.max())
        self.max_abs_logit.append(finite.abs().max())
        self.entropy.append(torch.special.entr(weights).sum(-1).mean())

    def see_block(self, output: Tensor) -> None:
        self.act_rms.append(output.square().mean().sqrt())


class Norm(nn.Module):
    """LayerNorm with a gain and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.gain.shape, self.gain)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        if shape.qk_norm:
            self.q_norm = Norm(shape.head_dim)
            self.k_norm = Norm(shape.head_dim)
        cos, sin = make_rotation(shape.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        above = torch.full((SEQ_LEN, SEQ_LEN), -math.inf).triu(1)
        self.register_buffer("mask", above, persistent=False)

    def forward(self, x: Tensor, probe: Probe | None) -> Tensor:
        batch, length, width = x.shape
        heads = (batch, length, 3, self.shape.n_heads, self.shape.head_dim)
        q, k, v = self.qkv(x).view(heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.shape.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (part.flatten(0, 1) for part in (self.rotate(q), self.rotate(k), v))
        scale = self.shape.head_dim**-0.5
        logits = torch.baddbmm(self.mask, q, k.transpose(1, 2), alpha=scale)
        if self.shape.kappa is not None:
            logits = force_rms(logits, self.shape.kappa)
        weights = logits.softmax(-1)
        if probe is not None:
            probe.see_attention(logits.detach(), weights.detach())
        mixed = (weights @ v).view(batch, -1, length, self.shape.head_dim)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def rotate(self, x: Tensor) -> Tensor:
        """Rotary position embedding; the sign of the rotation is folded into the sine."""
        return torch.addcmul(x * self.cos, x.roll(self.shape.head_dim // 2, -1), self.sin)


def make_rotation(head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine of every position's angles, shape (SEQ_LEN, head_dim)."""
    half = head_dim // 2
    frequency = ROPE_BASE ** (-torch.arange(half) / half)
    angle = torch.arange(SEQ_LEN)[:, None] * frequency
    return angle.cos().repeat(1, 2), torch.cat([-angle.sin(), angle.sin()], dim=1)


def force_rms(logits: Tensor, kappa: float) -> Tensor:
    """Scale each query's unmasked logits to RMS sqrt(kappa) (Wortsman et al. 2023, Fig 10)."""
    masked = logits == -math.inf
    seen = logits.masked_fill(masked, 0.0)
    mean_square = seen.square().sum(-1, keepdim=True) / (~masked).sum(-1, keepdim=True)
    return (seen * (kappa / (mean_square + 1e-12)).sqrt()).masked_fill(masked, -math.inf)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attn_norm = Norm(shape.width)
        self.attn = Attention(shape)
        self.mlp_norm = Norm(shape.width)
        self.mlp_in = nn.Linear(shape.width, 4 * shape.width, bias=False)
        self.mlp_out = nn.Linear(4 * shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, probe: Probe | None) -> Tensor:
        x = x + self.attn(self.attn_norm(x), probe)
        x = x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))
        if probe is not None:
            probe.see_block(x.detach())
        return x


class Transformer(nn.Module):
    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = Norm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocab, bias=False)
        self.initialise(seed)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw matrices in one fixed order: the same seed gives the same start with any option."""
        generator = torch.Generator().manual_seed(seed)
        self.embed.weight.normal_(0.0, self.embed.weight.shape[1] ** -0.5, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                std = module.in_features**-0.5
                nn.init.trunc_normal_(
                    module.weight, 0.0, std, -2 * std, 2 * std, generator=generator
                )

    def forward(self, tokens: Tensor, probe: Probe | None = None) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, probe)
        x = self.norm(x)
        if self.shape.bf16_logits:
            return F.linear(x.bfloat16(), self.head.weight.bfloat16()).float()
        return self.head(x)
