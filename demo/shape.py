"""Sizes of a model, as arithmetic: parameters and operations, without building it."""

from __future__ import annotations

from dataclasses import dataclass

SEQ_LEN = 64


@dataclass(frozen=True)
class Shape:
    """What decides the number of parameters and of operations."""

    width: int
    depth: int = 3
    qk_norm: bool = False
    kappa: float | None = None  # attention logits forced to RMS sqrt(kappa)
    vocab: int = 256
    bf16_logits: bool = False

    @property
    def head_dim(self) -> int:
        return {8: 8, 24: 12}.get(self.width, 16)

    @property
    def n_heads(self) -> int:
        return self.width // self.head_dim

    @property
    def n_params_non_embedding(self) -> int:
        """Matrices of the blocks and norm gains; neither embedding nor head."""
        gains = (2 * self.depth + 1) * self.width
        qk_gains = 2 * self.depth * self.head_dim if self.qk_norm else 0
        return 12 * self.depth * self.width**2 + gains + qk_gains

    @property
    def n_params(self) -> int:
        return self.n_params_non_embedding + 2 * self.vocab * self.width

    @property
    def flops_per_token(self) -> int:
        """Forward and backward; the whole masked square of attention is computed, so counted."""
        matrices = 12 * self.depth * self.width**2 + self.vocab * self.width
        return 6 * matrices + 12 * self.depth * SEQ_LEN * self.width
