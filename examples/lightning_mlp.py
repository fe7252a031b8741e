"""A regression trained by Lightning. Needs `pip install torch lightning`."""

from __future__ import annotations

import lightning
import torch
from torch import nn

from scaledash.callbacks.lightning import ScaleDashLogger

WIDTH, LR = 64, 1e-2


class Regression(lightning.LightningModule):
    """One hidden layer; `save_hyperparameters` hands the config to the logger."""

    def __init__(self, width: int, peak_lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(16, width), nn.GELU(), nn.Linear(width, 1))

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        inputs, targets = batch
        loss = (self.net(inputs) - targets).square().mean()
        self.log("loss.train", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        inputs, targets = batch
        self.log("loss.val", (self.net(inputs) - targets).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.peak_lr)


torch.manual_seed(0)
inputs = torch.randn(4096, 16)
data = torch.utils.data.TensorDataset(inputs, inputs[:, :4].tanh().sum(1, keepdim=True))
train, held_out = torch.utils.data.random_split(data, [3584, 512])
trainer = lightning.Trainer(
    max_epochs=5,
    log_every_n_steps=5,
    enable_checkpointing=False,
    logger=ScaleDashLogger(project="first-steps", name=f"lightning-d{WIDTH}"),
)
trainer.fit(
    Regression(WIDTH, LR),
    torch.utils.data.DataLoader(train, batch_size=128, shuffle=True),
    torch.utils.data.DataLoader(held_out, batch_size=512),
)
