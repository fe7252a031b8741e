"""Seconds of the fits that matter, beside scipy's multi-start L-BFGS-B doing the same job.

Run with one BLAS thread: ``OMP_NUM_THREADS=1 python benchmarks/fits.py``. Times are printed, never
asserted. Without reference data the 240 rows are synthetic and of the same shape.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks import scipy_fits  # noqa: E402
from fitting.maths.engine import fit_law, prepare_rows  # noqa: E402
from fitting.maths.fitters import SeparableFitter  # noqa: E402
from fitting.maths.lr_points import gather_points  # noqa: E402
from fitting.maths.lr_sweep import LrSweepTable, analyse_lr_sweep  # noqa: E402
from fitting.maths.registry import get_law  # noqa: E402
from fitting.maths.schedules import make_constant, make_cosine, make_two_stage  # noqa: E402
from fitting.maths.separable import SeparableProblem, fit_point, fit_replicas  # noqa: E402
from fitting.maths.types import FloatArray, Rows, Separable, Settings  # noqa: E402

N_STARTS = 64
REPLICAS, SCIPY_REPLICAS = 4000, 4
SWEEP_REPLICAS, SCIPY_SWEEP_REPLICAS = 1000, 20
POINT = Settings(replicas=0, hold_out="none")
ANNEALING = POINT.with_options(**{"lambda": 0.999})


@dataclass(frozen=True)
class Line:
    """One job: seconds here, seconds by scipy (NaN = not measured), and what the two agree on."""

    work: str
    seconds: float
    scipy_seconds: float = np.nan
    note: str = ""


def measure(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least seconds over repeats."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def read_rows() -> tuple[Rows, str]:
    """Return the 240 Chinchilla rows, or rows of their shape."""
    folder = Path(os.environ.get("SCALEDASH_REFERENCE_DATA") or ROOT / "../shared/data")
    path = folder / "chinchilla_svg.csv"
    if path.is_file():
        data = np.genfromtxt(path, delimiter=",", names=True)
        data = data[data["excluded_by_epoch"] == 0]
        return Rows({"n_params": data["params"], "n_tokens": data["tokens"]}, data["loss"]), "240"
    rng = np.random.default_rng(0)
    n, d = 10 ** rng.uniform(7.5, 10.2, 240), 10 ** rng.uniform(8.5, 12, 240)
    loss = (1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28) * (1 + 0.01 * rng.standard_normal(240))
    return Rows({"n_params": n, "n_tokens": d}, loss), "240 synthetic"


def make_problem(slug: str, rows: Rows, settings: Settings = POINT) -> SeparableProblem:
    """Return the numerical problem of a separable law on rows."""
    law = get_law(slug)
    options = law.read_options(settings.options)
    prepared = prepare_rows(law, rows, options)
    assert isinstance(prepared, Rows)
    assert isinstance(law.structure, Separable)
    return SeparableFitter(law, law.structure, prepared, options).make_problem()


def make_sweep(n_runs: int) -> LrSweepTable:
    """Return a sweep of about n_runs runs: sizes x learning rates x seeds."""
    lrs, n_seeds = np.geomspace(3e-4, 3e-1, 10), max(1, n_runs // 200)
    cells = [
        (variant, size, lr, seed)
        for variant in ("a", "b")
        for size in np.geomspace(1e6, 1e9, 10)
        for lr in lrs
        for seed in range(n_seeds)
    ]
    variant, size, lr, seed = zip(*cells, strict=True)
    rng, n = np.random.default_rng(0), len(cells)
    best = 0.02 * (np.array(size) / 1e6) ** -0.3
    loss = 2.5 + 0.08 * np.log(np.array(lr) / best) ** 2 + 0.01 * rng.standard_normal(n)
    return LrSweepTable(
        tuple(f"r{place}" for place in range(n)),
        np.array(size),
        variant,
        np.array(lr),
        loss,
        np.full(n, 11.0),
        np.array(seed, dtype=float),
        np.ones(n, dtype=bool),
        np.zeros(n, dtype=bool),
    )


def make_schedule_rows(n_curves: int, total: int = 4000) -> Rows:
    """Return curves of three kinds of schedule, 40 rows each."""
    kinds = [
        make_constant(1e-3, total, 200),
        make_cosine(1e-3, 1e-4, total, 200),
        make_two_stage(1e-3, 3e-4, total // 2, total, 200),
    ]
    schedules = {f"curve{place:03d}": kinds[place % 3] for place in range(n_curves)}
    steps = np.arange(300, total, (total - 300) // 39)
    rng, losses, names = np.random.default_rng(0), [], []
    for name, schedule in schedules.items():
        s1 = np.cumsum(schedule)[steps]
        loss = 2.6 + 0.5 * s1**-0.5 - 0.4 * (1e-3 - schedule[steps]) * 100
        losses.append(loss * (1 + 0.001 * rng.standard_normal(steps.size)))
        names += [name] * steps.size
    step = np.tile(steps.astype(float), n_curves)
    return Rows({"step": step}, np.concatenate(losses), (), tuple(names), (), schedules)


def compare_point(work: str, problem: SeparableProblem) -> Line:
    """Fit one problem cold, here and by scipy from many starts."""
    here = float(fit_point(problem, 1e-12, 1000).objective[0])
    found = scipy_fits.search(problem, N_STARTS)
    seconds = measure(lambda: fit_point(problem, 1e-12, 1000))
    by_scipy = measure(lambda: scipy_fits.search(problem, N_STARTS), 1)
    note = (
        f"{found.share:.0%} of {N_STARTS} starts at the best; "
        f"scipy's objective {found.objective / here - 1:+.1e} relative"
    )
    return Line(work, seconds, by_scipy, note)


def compare_bootstraps(label: str, problem: SeparableProblem) -> Line:
    """Fit all replicas cold here, and a few of them by scipy from many starts each."""
    n = problem.target.size
    rng = np.random.default_rng(42)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=REPLICAS).astype(float)
    here: list[FloatArray] = []
    seconds = measure(lambda: here.append(fit_replicas(problem, counts, 1e-7).objective))
    there: list[FloatArray] = []
    few = counts[:SCIPY_REPLICAS]
    part = measure(
        lambda: there.append(scipy_fits.search_replicas(problem, few, N_STARTS)), repeats=1
    )
    excess = float(np.max(here[0][:SCIPY_REPLICAS] / there[0] - 1))
    note = (
        f"scipy: {SCIPY_REPLICAS} replicas x {N_STARTS} starts, scaled; largest excess here "
        f"{excess:+.1e}"
    )
    scaled = part * REPLICAS / SCIPY_REPLICAS
    return Line(f"Chinchilla, {label} rows, {REPLICAS} cold bootstraps", seconds, scaled, note)


def compare_sweep() -> Line:
    """Analyse a sweep here; by scipy only its parabolas, scale by scale and replica by replica."""
    table = make_sweep(2000)
    seconds = measure(lambda: analyse_lr_sweep(table))
    names, sizes = np.array(table.variant), table.scale

    def fit_parabolas() -> None:
        for variant in np.unique(names):
            for size in np.unique(sizes):
                here = (names == variant) & (sizes == size)
                quiet = np.zeros(int(here.sum()), dtype=bool)
                points = gather_points(table.peak_lr[here], table.loss[here], quiet)
                scipy_fits.find_vertices(points, SCIPY_SWEEP_REPLICAS, 0.01)

    scaled = measure(fit_parabolas, 1) * SWEEP_REPLICAS / SCIPY_SWEEP_REPLICAS
    note = f"scipy: the parabolas alone, {SCIPY_SWEEP_REPLICAS} replicas x 4 starts, scaled"
    return Line("LR sweep, 2,000 runs, 1,000 replicas, all of it", seconds, scaled, note)


def list_lines() -> list[Line]:
    """Measure every job."""
    rows, label = read_rows()
    chinchilla, curves = make_problem("chinchilla_parametric", rows), make_schedule_rows(100)
    x = np.geomspace(1, 1e4, 30)
    noise = 1 + 0.002 * np.random.default_rng(1).standard_normal(30)
    ladder = Rows({"x": x}, (1.7 + 2 * x**-0.25) * noise)
    broken = get_law("broken_power")
    assert broken.design is not None
    bx = broken.design()["x"]
    by = 0.05 + 1.5 * bx**-0.1 * (1 + (bx / 100) ** (1 / 0.3)) ** (-0.4 * 0.3)
    annealing = make_problem("lr_annealing", curves, ANNEALING)

    def fit(slug: str, rows: Rows, settings: Settings = POINT) -> float:
        return measure(lambda: fit_law(get_law(slug), rows, settings))

    return [
        compare_point(f"Chinchilla, {label} rows, cold point", chinchilla),
        compare_bootstraps(label, chinchilla),
        compare_sweep(),
        compare_point("lr_annealing, 100 curves, cold point", annealing),
        Line("the same, all of a fit", fit("lr_annealing", curves, ANNEALING)),
        Line("VPNLS, all of a fit", fit("chinchilla_vpnls", rows)),
        Line("approach 3, all of a fit, 1,000 replicas", fit(APPROACH_3, rows, Settings())),
        Line("power_law_constant, 30 rows, 1,000 replicas", fit(LADDER, ladder, Settings())),
        Line(
            "multi_power, 3 curves of 4,000 steps, 12 starts",
            fit("multi_power", make_schedule_rows(3)),
        ),
        Line("broken_power, one break, 60 starts", fit("broken_power", Rows({"x": bx}, by))),
    ]


APPROACH_3, LADDER = "chinchilla_parametric", "power_law_constant"


def main() -> None:
    """Print the table."""
    print(f"{'work':<54}{'seconds':>9}{'L-BFGS-B':>11}{'ratio':>9}  note")
    for line in list_lines():
        known = np.isfinite(line.scipy_seconds)
        there = f"{line.scipy_seconds:>11.2f}" if known else " " * 11
        ratio = f"{line.scipy_seconds / line.seconds:>8.0f}x" if known else " " * 9
        print(f"{line.work:<54}{line.seconds:>9.3f}{there}{ratio}  {line.note}".rstrip())


if __name__ == "__main__":
    main()
