"""Train a linear model with Lightning's Trainer, logging with ScaleDash's logger.

`python train_lightning.py PACKAGE [fail]`: PACKAGE is lightning.pytorch or pytorch_lightning.
"""

import importlib
import json
import sys

import torch

pl = importlib.import_module(sys.argv[1])
from scaledash.callbacks.lightning import ScaleDashLogger  # noqa: E402 - after the package


class Linear(pl.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        if sys.argv[-1] == "fail" and self.global_step == 5:
            raise RuntimeError("out of memory")
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss)
        seen.append((self.global_step, float(loss)))
        return loss

    def validation_step(self, batch: torch.Tensor, index: int) -> None:
        self.log("val/loss", self.layer(batch).square().mean())

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


seen: list[tuple[int, float]] = []
torch.manual_seed(0)
data = torch.utils.data.DataLoader(torch.randn(32, 4), batch_size=4)
logger = ScaleDashLogger(project="pl", name="linear")
trainer = pl.Trainer(
    max_epochs=2,
    logger=logger,
    log_every_n_steps=1,
    accelerator="cpu",
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
model = Linear()
trainer.fit(model, data, data)
trainer.test(model, data, verbose=False)
json.dump({"seen": seen, "version": logger.version, "name": logger.name}, sys.stdout)
