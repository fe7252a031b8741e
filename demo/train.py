"""Train the demo runs: `python demo/train.py --part A1 --shard 0/2`, one process per core.

Every run is logged through `import scaledash` and nothing else. With a server (or a local
`make up`) it logs live; with SCALEDASH_MODE=offline it spools, for `scaledash sync` later.
Finished runs are skipped, so the command can be repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import scaledash
from demo.batches import Batches
from demo.corpus import Corpus, load_corpus
from demo.describe import describe_cell, describe_software
from demo.grid import BATCH_TOKENS, PARTS, Cell, list_cells, list_studies
from demo.model import Probe, Transformer
from demo.optimizer import FlatAdamW, rms
from demo.progress import Progress

VALIDATIONS = 10
DEFAULT_OUT = Path(__file__).resolve().parent / ".cache" / "runs"
Log = Callable[[dict[str, float], int], None]


@dataclass
class Trainer:
    """One run: a model, its optimizer and its text."""

    cell: Cell
    batches: Batches
    model: Transformer = field(init=False)
    optimizer: FlatAdamW = field(init=False)

    def __post_init__(self) -> None:
        self.model = Transformer(self.cell.shape, self.cell.seed).to(self.batches.device)
        self.optimizer = FlatAdamW(self.model, self.cell.recipe)
        self.loss_at_init = self.validate()

    @torch.no_grad()
    def validate(self) -> float:
        """Mean cross-entropy over the fixed validation windows, nats per token."""
        losses = [
            F.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten())
            for inputs, targets in self.batches.validation
        ]
        return float(torch.stack(losses).mean())

    def run(self, log: Log) -> None:
        """Train to the end; a row is measured only at the steps that log one."""
        cell = self.cell
        log({"loss.val": self.loss_at_init, "tokens": 0, "flops": 0}, 0)
        validation_steps = {round(k * cell.steps / VALIDATIONS) for k in range(1, VALIDATIONS + 1)}
        logged_steps = {1, cell.steps, *validation_steps, *range(0, cell.steps, cell.log_every)}
        for step, (inputs, targets) in enumerate(self.batches.draw(cell.seed, cell.steps), 1):
            row = self.take_step(inputs, targets, step in logged_steps)
            if step in validation_steps:
                row["loss.val"] = self.validate()
            if row:
                log(row, step)

    def take_step(self, inputs: Tensor, targets: Tensor, is_logged: bool) -> dict[str, float]:
        probe = Probe() if is_logged else None
        logits = self.model(inputs, probe)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        z_loss = self.measure_z_loss(logits) if self.cell.z_loss else torch.zeros_like(loss)
        self.optimizer.clear()
        (loss + z_loss).backward()
        grad_norm, clip_factor = self.optimizer.clip()
        self.optimizer.step()
        if probe is None:
            return {}
        step = self.optimizer.step_count
        measured = {
            "loss.train": loss.detach(),
            "loss.z": z_loss.detach(),
            **measure_logits(logits.detach()),
            **measure_layers(probe),
            **self.optimizer.watched_rms(clip_factor),
            "param.norm": self.optimizer.parameter_norm(),
        }
        return {
            **dict(zip(measured, torch.stack(list(measured.values())).tolist(), strict=True)),
            "optim.lr": self.cell.recipe.lr(step),
            "optim.grad_norm": grad_norm,
            "optim.clip_coef": clip_factor,
            "tokens": step * BATCH_TOKENS,
            "flops": step * BATCH_TOKENS * self.cell.shape.flops_per_token,
        }

    def measure_z_loss(self, logits: Tensor) -> Tensor:
        return self.cell.z_loss * logits.logsumexp(-1).square().mean()


def measure_logits(logits: Tensor) -> dict[str, Tensor]:
    log_z = logits.logsumexp(-1)
    return {
        "logits.logz_mean": log_z.mean(),
        "logits.logz_sq": log_z.square().mean(),
        "logits.mean": logits.mean(),
        "logits.max": logits.max(),
        "logits.rms": rms(logits),
    }


def measure_layers(probe: Probe) -> dict[str, Tensor]:
    series = {
        "attn.max_logit": probe.max_logit,
        "attn.max_abs_logit": probe.max_abs_logit,
        "attn.entropy": probe.entropy,
        "act.rms": probe.act_rms,
    }
    return {
        f"{name}.L{layer}": value
        for name, layers in series.items()
        for layer, value in enumerate(layers)
    }


@dataclass(frozen=True)
class Options:
    """Where runs are computed and kept; the same for every cell of a process."""

    out: Path = DEFAULT_OUT
    project: str = "demo"
    device: str = "cpu"
    threads: int = 1
    corpus: Path | None = None

    @property
    def done_file(self) -> Path:
        return self.out / "done.txt"


@cache
def open_corpus(path: Path | None) -> Corpus:
    return load_corpus(path)


@cache
def open_batches(path: Path | None, vocab: int, device: str) -> Batches:
    return Batches(open_corpus(path), vocab, device)


def prepare_process(options: Options) -> None:
    """One thread computes one run; denormal numbers would only slow it down."""
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SCALEDASH_DIR", str(options.out / "spool"))


def train_cell(cell: Cell, options: Options) -> str:
    """Train and log one run; returns its id once it is finished and noted as done."""
    started = time.monotonic()
    batches = open_batches(options.corpus, cell.vocab, options.device)
    trainer = Trainer(cell, batches)
    config = {
        **describe_cell(cell),
        **batches.baselines,
        "bytes_per_token": batches.bytes_per_token,
        "loss_at_init": trainer.loss_at_init,
        "corpus_sha256": open_corpus(options.corpus).sha256,
        **describe_software(options.device, options.threads),
    }
    run = scaledash.init(
        project=options.project,
        id=cell.uid,
        name=cell.name,
        group=cell.part,
        tags=["demo", cell.part],
        study=list_studies(cell) or None,
        config=config,
        resume="allow",
    )
    with run:
        trainer.run(lambda row, step: run.log(row, step=step))
    with options.done_file.open("a") as done:
        done.write(f"{cell.uid}\t{time.monotonic() - started:.1f}\t{cell.name}\n")
    return cell.uid


def read_done(path: Path) -> set[str]:
    """Ids of the runs that were trained to their end."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split("\t")[0] for line in lines}


def parse_shard(text: str) -> tuple[int, int]:
    index, count = (int(part) for part in text.split("/"))
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"{text}: write it as 0/2 or 1/2")
    return index, count


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", choices=[*PARTS], required=True)
    parser.add_argument("--shard", type=parse_shard, default=(0, 1), help="share of cells: i/n")
    parser.add_argument("--only", default="", help="train only the runs with this in their name")
    parser.add_argument("--project", default="demo")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="spool and list of done runs")
    parser.add_argument("--corpus", type=Path, help="bytes kept by demo/corpus.py --write")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    options = Options(
        arguments.out, arguments.project, arguments.device, arguments.threads, arguments.corpus
    )
    prepare_process(options)
    index, count = arguments.shard
    cells = [
        cell for cell in list_cells(arguments.part)[index::count] if arguments.only in cell.name
    ]
    done = read_done(options.done_file)
    progress = Progress("runs", len(cells))
    for cell in cells:
        if cell.uid not in done:
            train_cell(cell, options)
        progress.advance(cell.name)
    progress.close()


if __name__ == "__main__":
    main()
