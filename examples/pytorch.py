"""A plain PyTorch loop with three lines of ScaleDash. Needs `pip install torch`."""

from __future__ import annotations

import torch
from torch import nn

import scaledash

WIDTH, LR, STEPS, BATCH = 64, 1e-2, 300, 128

model = nn.Sequential(nn.Linear(16, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
teacher = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)).requires_grad_(False)

config = {
    "n_params": sum(parameter.numel() for parameter in model.parameters()),
    "width": WIDTH,
    "peak_lr": LR,
    "batch_size": BATCH,
    "total_steps": STEPS,
}
with scaledash.init(project="first-steps", name=f"mlp-{WIDTH}", config=config) as run:
    for step in range(1, STEPS + 1):
        inputs = torch.randn(BATCH, 16)
        loss = (model(inputs) - teacher(inputs)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        lr = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        run.log({"loss.train": loss, "optim.grad_norm": grad_norm, "optim.lr": lr}, step=step)
