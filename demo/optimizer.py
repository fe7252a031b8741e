"""AdamW on one flat buffer: a few large operations a step instead of hundreds of small ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from demo.recipe import BETA1, BETA2, CLIP, MU_BASE_FAN_IN, Recipe

WATCHED = "blocks.0.mlp_in.weight"


class FlatAdamW:
    """AdamW whose parameters, gradients and moments each live in one tensor."""

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self.recipe = recipe
        self.step_count = 0
        named = list(model.named_parameters())
        self.theta = torch.cat([parameter.detach().flatten() for _, parameter in named])
        self.gradient = torch.zeros_like(self.theta)
        self.mean = torch.zeros_like(self.theta)
        self.square = torch.zeros_like(self.theta)
        self.update = torch.zeros_like(self.theta)
        self.lr_scale = self._make_lr_scale(model)
        self.watched = slice(0, 0)
        begin = 0
        for name, parameter in named:
            part = slice(begin, begin + parameter.numel())
            parameter.data = self.theta[part].view_as(parameter)
            parameter.grad = self.gradient[part].view_as(parameter)
            self.watched = part if name == WATCHED else self.watched
            begin = part.stop

    def _make_lr_scale(self, model: nn.Module) -> Tensor | None:
        if self.recipe.parametrization == "sp":
            return None
        fan_in = {
            id(module.weight): module.in_features
            for module in model.modules()
            if isinstance(module, nn.Linear)
        }
        scales = [
            torch.full((p.numel(),), MU_BASE_FAN_IN / fan_in.get(id(p), MU_BASE_FAN_IN))
            for p in model.parameters()
        ]
        return torch.cat(scales).to(self.theta)

    def clear(self) -> None:
        self.gradient.zero_()

    def clip(self) -> tuple[float, float]:
        """Scale the gradient to norm 1 where it is larger; returns norm before, and factor."""
        norm = float(torch.linalg.vector_norm(self.gradient))
        factor = min(1.0, CLIP / (norm + 1e-6))
        if factor < 1.0:
            self.gradient.mul_(factor)
        return norm, factor

    def step(self) -> None:
        """Decay, then move; `update` keeps the direction before the learning rate."""
        self.step_count += 1
        recipe, step = self.recipe, self.step_count
        lr = recipe.lr(step)
        self.mean.lerp_(self.gradient, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(self.gradient, self.gradient, value=1 - BETA2)
        torch.sqrt(self.square, out=self.update)
        self.update.mul_((1 - BETA2**step) ** -0.5).add_(recipe.eps)
        torch.div(self.mean, self.update, out=self.update)
        self.update.mul_(1 / (1 - BETA1**step))
        decay = lr if recipe.wd_mode == "coupled" else recipe.schedule(step)
        self.theta.mul_(1 - decay * recipe.weight_decay)
        moved = self.update if self.lr_scale is None else self.update * self.lr_scale
        self.theta.add_(moved, alpha=-lr)

    def watched_rms(self, factor: float) -> dict[str, Tensor]:
        """RMS of one tensor's raw gradient, its update before the LR, and g against Adam's v."""
        gradient = self.gradient[self.watched]
        second = self.square[self.watched] / (1 - BETA2**self.step_count)
        ratio = gradient.square() / second.clamp(min=self.recipe.eps**2)
        return {
            "grad.rms.block0.mlp_in": rms(gradient) / factor,
            "update.rms.block0.mlp_in": rms(self.update[self.watched]),
            "adam.rms.block0.mlp_in": ratio.mean().sqrt(),
        }

    def parameter_norm(self) -> Tensor:
        return torch.linalg.vector_norm(self.theta)


def rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
