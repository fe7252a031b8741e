"""A training job as the server sees it: runs, batches and ends, over the documented API."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

NON_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def encode(value: float) -> float | str:
    """Write a value the way batches carry it."""
    if math.isnan(value):
        return "NaN"
    return NON_FINITE.get(value, value)


@dataclass
class Logger:
    """Writes into one project."""

    base_url: str
    token: str
    project: str

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        request = Request(
            f"{self.base_url}/api/v1/{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as response:
            return json.load(response)

    def start(self, uid: str, **fields: object) -> LoggedRun:
        run = LoggedRun(self, uid)
        self.open(run, **fields)
        return run

    def open(self, run: LoggedRun, **fields: object) -> None:
        """Make a run on the server; `batches` and `finish` may come along."""
        body = {"request_id": str(uuid.uuid4()), "id": run.uid, "project": self.project, **fields}
        self.post("runs", body)


@dataclass
class LoggedRun:
    """One run in progress."""

    logger: Logger
    uid: str
    writer: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: int = 0

    def log(self, steps: list[int], **series: list[float]) -> None:
        """Send one batch; `train_loss` stands for train/loss."""
        body = self.make_batch(steps, **series)
        self.logger.post(f"runs/{self.uid}/metrics?project={self.logger.project}", body)

    def make_batch(self, steps: list[int], **series: list[float]) -> dict[str, object]:
        self.seq += 1
        metrics = {
            name.replace("_", "/", 1): [encode(value) for value in values]
            for name, values in series.items()
        }
        return {"writer": self.writer, "seq": self.seq, "steps": steps, "metrics": metrics}

    def finish(self, state: str = "finished") -> None:
        path = f"runs/{self.uid}/finish?project={self.logger.project}"
        self.logger.post(path, {"state": state, "exit_code": 0})


SIZES = (10_000, 40_000, 160_000)
LRS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
LOSS_AT_INIT = 5.5


def final_loss(n_params: float, lr: float, is_normed: bool) -> float:
    """A parabola in log lr whose best rate falls with size; without the norm it is narrower."""
    best = 3e-2 * (n_params / SIZES[0]) ** -0.3
    width = 0.06 if is_normed else 0.12
    floor = 2 + 2 * (n_params / SIZES[0]) ** -0.3
    wiggle = 0.004 * math.sin(7 * math.log(lr) + n_params)
    return floor + width * math.log(lr / best) ** 2 + wiggle


def log_cell(logger: Logger, n_params: int, lr: float, is_normed: bool, study: str) -> LoggedRun:
    """Log one finished run of a sweep, all of it in one request."""
    uid = f"n{n_params}-lr{lr:g}-{'on' if is_normed else 'off'}".replace(".", "p")
    end = final_loss(n_params, lr, is_normed)
    run = LoggedRun(logger, uid)
    losses = [LOSS_AT_INIT, (LOSS_AT_INIT + end) / 2, end]
    logger.open(
        run,
        name=uid,
        study=study,
        config={"qk_norm": is_normed, "lr": lr},
        scale={"n_params": n_params, "peak_lr": lr, "loss_at_init": LOSS_AT_INIT},
        batches=[run.make_batch([1, 50, 100], train_loss=losses)],
        finish={"state": "finished", "exit_code": 0},
    )
    return run


def log_sweep(logger: Logger, study: str = "lr-sweep") -> int:
    """Log a whole sweep; returns the number of its runs."""
    cells = [(n, lr, norm) for n in SIZES for lr in LRS for norm in (False, True)]
    for n_params, lr, is_normed in cells:
        log_cell(logger, n_params, lr, is_normed, study)
    return len(cells)
