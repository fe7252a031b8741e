"""Train committed runs again and compare: `python demo/reproduce.py A1-d16-lr0.01-qk-on-s0`.

Nothing is logged. A final validation loss counts as reproduced when it differs from the committed
one by no more than two runs of different seeds do.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, variance

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.grid import PARTS, Cell, list_cells
from demo.load import Run, read_runs

LOSS = "loss.val"
SWEEP = ("A1", "A3")  # the parts that repeat cells with other seeds
WIDE = 2 * math.sqrt(2)  # standard deviations that the difference of two runs may have


def read_loss(run: Run) -> float:
    """Final validation loss of a committed run."""
    return float(run["metrics"][LOSS]["values"][-1])


def measure_spread(runs: Iterable[Run]) -> float:
    """Standard deviation over seeds, pooled over the cells of the sweep that have several."""
    cells: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for run in runs:
        if run["group"] in SWEEP:
            config = run["config"]
            cells[config["width"], config["peak_lr"], config["qk_norm"]].append(read_loss(run))
    return math.sqrt(fmean(variance(losses) for losses in cells.values() if len(losses) > 1))


def find_cell(name: str) -> Cell:
    """The cell of this name, or a sentence."""
    found = [cell for cell in list_cells([*PARTS]) if cell.name == name]
    if not found:
        sys.exit(f"No run of the grid is called {name!r}; demo/data/runs.jsonl.gz has the names.")
    return found[0]


def train(cell: Cell) -> float:
    """Train a cell on one thread; returns its final validation loss."""
    import torch

    from demo.train import Trainer, open_batches

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows: list[float] = []
    trainer = Trainer(cell, open_batches(None, cell.vocab, "cpu"))
    trainer.run(lambda row, step: rows.append(row[LOSS]) if LOSS in row else None)
    return rows[-1]


def judge(name: str, found: float, committed: float, spread: float) -> tuple[bool, str]:
    """Say whether a loss is reproduced, and in which words."""
    limit = WIDE * spread
    is_same = abs(found - committed) <= limit
    verdict = "within" if is_same else "beyond"
    difference = f"difference {found - committed:+.5f}, {verdict} the spread of seeds ({limit:.3f})"
    return is_same, f"{name}: {found:.5f} here, {committed:.5f} committed, {difference}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="names of committed runs")
    runs = list(read_runs())
    committed = {run["name"]: read_loss(run) for run in runs}
    spread = measure_spread(runs)
    are_same = []
    for name in parser.parse_args().names:
        cell = find_cell(name)
        if name not in committed:
            sys.exit(f"{name} is planned, but was not trained; demo/DATASET.md lists the gaps.")
        is_same, sentence = judge(name, train(cell), committed[name], spread)
        print(sentence, flush=True)
        are_same.append(is_same)
    return 0 if all(are_same) else 1


if __name__ == "__main__":
    sys.exit(main())
