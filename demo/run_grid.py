"""Train many cells on many cores within a time budget, offline, and pack the spools.

`python demo/run_grid.py --parts A1 B C --processes 16 --budget 500 --pack-to out` starts cells
in the order of the parts, the longest first inside a part, and no cell that could not end in
time. `--done out/done.txt` lets a later call, on another machine too, go on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tarfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.grid import PARTS, Cell, list_cells
from demo.progress import Progress
from demo.train import (
    DEFAULT_OUT,
    Options,
    Trainer,
    open_batches,
    prepare_process,
    read_done,
    train_cell,
)

ARCHIVE_BYTES = 14 * 1024**2
MARGIN = 1.15  # a planned cell may take this much longer than the speed measured so far says
TRIAL = Cell("smoke", 64, 1e-2, 60)


def measure_speed(options: Options) -> float:
    """Seconds that a short training takes here, for every second planned."""
    trainer = Trainer(TRIAL, open_batches(options.corpus, TRIAL.vocab, options.device))
    started = time.monotonic()
    trainer.run(lambda row, step: None)
    return (time.monotonic() - started) / TRIAL.cost_seconds


@dataclass
class Scheduler:
    """Cells that wait, cells that run, and what the clock allows."""

    options: Options
    waiting: list[Cell]
    processes: int
    deadline: float
    speed: float = 1.0
    running: dict[Future[str], tuple[Cell, float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def run(self, pool: ProcessPoolExecutor) -> None:
        trials = [pool.submit(measure_speed, self.options) for _ in range(self.processes)]
        self.speed = max(trial.result() for trial in trials)
        print(f"speed: {self.speed:.2f} seconds for every second planned", flush=True)
        progress = Progress("runs", len(self.waiting))
        self.fill(pool)
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                progress.advance(self.settle(future))
            self.fill(pool)
        progress.close()

    def fill(self, pool: ProcessPoolExecutor) -> None:
        """Give every free process the first waiting cell that can end before the deadline."""
        while len(self.running) < self.processes and (cell := self.choose()):
            self.waiting.remove(cell)
            future = pool.submit(train_cell, cell, self.options)
            self.running[future] = (cell, time.monotonic())

    def choose(self) -> Cell | None:
        left = self.deadline - time.monotonic()
        fitting = (c for c in self.waiting if c.cost_seconds * self.speed * MARGIN < left)
        return next(fitting, None)

    def settle(self, future: Future[str]) -> str:
        cell, started = self.running.pop(future)
        if (error := future.exception()) is not None:
            self.failed.append(f"{cell.name}: {error!r}")
            return cell.name
        measured = (time.monotonic() - started) / cell.cost_seconds
        self.speed = 0.9 * self.speed + 0.1 * measured
        return cell.name


def pack_spools(out: Path, target: Path) -> list[Path]:
    """Archive the spool folders, a new file whenever one is full, and the list of done runs."""
    target.mkdir(parents=True, exist_ok=True)
    folders = sorted((out / "spool").iterdir())
    archives: list[Path] = []
    while folders:
        archives.append(target / f"spools-{len(archives)}.tar.gz")
        with archives[-1].open("wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            while folders and file.tell() < ARCHIVE_BYTES:
                folder = folders.pop(0)
                archive.add(folder, arcname=folder.name)
    shutil.copy(out / "done.txt", target / "done.txt")
    return archives


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds for everything")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--done", type=Path, help="ids of runs trained before, elsewhere")
    parser.add_argument("--corpus", type=Path, help="bytes kept by demo/corpus.py --write")
    parser.add_argument("--pack-to", type=Path, help="folder for the archives of the spools")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    deadline = time.monotonic() + arguments.budget
    os.environ.setdefault("SCALEDASH_MODE", "offline")
    os.environ["OMP_NUM_THREADS"] = "1"
    options = Options(out=arguments.out, corpus=arguments.corpus)
    prepare_process(options)
    done = read_done(options.done_file)
    done |= read_done(arguments.done) if arguments.done else set()
    cells = [cell for cell in list_cells(arguments.parts) if cell.uid not in done]
    scheduler = Scheduler(options, cells, arguments.processes, deadline)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, spawn, prepare_process, (options,)) as pool:
        scheduler.run(pool)
    print(f"not started for lack of time: {len(scheduler.waiting)}; failed: {scheduler.failed}")
    if arguments.pack_to:
        for archive in pack_spools(arguments.out, arguments.pack_to):
            print(f"{archive}: {archive.stat().st_size:,} bytes")
    return 1 if scheduler.failed else 0


if __name__ == "__main__":
    sys.exit(main())
