"""A script as people write it for W&B; `python wandb_script.py MODULE` runs it against a module."""

import importlib
import math
import sys

wandb = importlib.import_module(sys.argv[1])

wandb.login()
defaults = {"lr": 1e-3, "model": {"width": 64, "depth": 4}, "batch_size": 32}
run = wandb.init(
    project="copy",
    name="mlp",
    group="g",
    tags=["a", "b"],
    notes="n",
    config=defaults,
    settings=wandb.Settings(silent=True),
)
wandb.define_metric("epoch")
wandb.define_metric("val/*", step_metric="epoch", summary="min")
config = wandb.config
config.update({"lr": 3e-3}, allow_val_change=True)
config.setdefaults({"lr": 1.0, "seed": 7})
assert (config.lr, config.model["width"], config["seed"]) == (3e-3, 64, 7)
for step in range(20):
    loss = 2.0 / (step + 1)
    wandb.log({"train/loss": loss, "train/tokens": 1024 * step}, commit=False)
    wandb.log({"lr": config.lr * 0.9**step, "nested": {"grad": {"norm": loss / 3}}})
    if step % 5 == 4:
        wandb.log({"val/loss": loss * 1.1, "epoch": step // 5})
run.log({"late/accuracy": 0.5}, step=100)
run.log({"late/f1": 0.25})
run.log({"bad/nan": math.nan, "bad/inf": math.inf, "flag": True, "big": 2**40})
wandb.run.summary["best"] = 0.125
wandb.summary.update({"final": {"accuracy": 0.75}})
assert run.summary["late/accuracy"] == 0.5
table = wandb.Table(columns=["x", "y"], data=[[1, 2]])
table.add_data(3, 4)
artifact = wandb.Artifact("weights", type="model")
wandb.alert(title="Done", text="all steps", level=wandb.AlertLevel.WARN)
wandb.termlog("ended")
print(run.step)  # noqa: T201
wandb.finish()
assert wandb.run is None
