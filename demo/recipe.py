"""How a run learns: schedule, decay and constants of its optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass

BETA1 = 0.9
BETA2 = 0.95
CLIP = 1.0
MU_BASE_FAN_IN = 16


@dataclass(frozen=True)
class Recipe:
    """Everything that decides an update except the gradient."""

    peak_lr: float
    total_steps: int
    warmup_steps: int
    weight_decay: float = 1e-4
    wd_mode: str = "independent"  # theta *= 1 - s_t wd; coupled: theta *= 1 - lr_t wd
    eps: float = 1e-8
    parametrization: str = "sp"  # mup-simple: LR of a linear layer times 16 / fan-in

    def schedule(self, step: int) -> float:
        """Share of the peak LR in force at a step (from 1): linear warm-up, then cosine to 0."""
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        progress = (step - 1 - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * progress))

    def lr(self, step: int) -> float:
        return self.peak_lr * self.schedule(step)
