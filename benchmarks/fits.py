"""Seconds of the fits that matter, beside scipy's multi-start L-BFGS-B doing the same job.

Run with one BLAS thread: ``OMP_NUM_THREADS=1 python benchmarks/fits.py``. Times are printed, never
asserted. Without reference data the 240 rows are synthetic and of the same shape.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from fitting.maths.engine import fit_law  # noqa: E402
from fitting.maths.fitters import SeparableFitter  # noqa: E402
from fitting.maths.lr_sweep import LrSweepTable, analyse_lr_sweep  # noqa: E402
from fitting.maths.registry import get_law  # noqa: E402
from fitting.maths.schedules import make_constant, make_cosine, make_two_stage  # noqa: E402
from fitting.maths.second_opinion import evaluate_objective  # noqa: E402
from fitting.maths.separable import SeparableProblem, fit_replicas  # noqa: E402
from fitting.maths.types import Rows, Separable, Settings  # noqa: E402


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


def make_problem(rows: Rows) -> SeparableProblem:
    """Return the Chinchilla problem of the rows."""
    law = get_law("chinchilla_parametric")
    assert isinstance(law.structure, Separable)
    return SeparableFitter(law, law.structure, rows, law.read_options({})).make_problem()


def search_by_lbfgs(problem: SeparableProblem, n_starts: int) -> tuple[float, int]:
    """Return scipy's least objective from random starts, and how many starts reach it."""
    from scipy.optimize import minimize

    rng, found = np.random.default_rng(0), []
    for _ in range(n_starts):
        raw = [rng.choice([-1, 0, 1]), *rng.choice([0.0, 5, 10, 15, 20, 25], 2)]
        exponents = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0], 2)
        theta = np.concatenate([raw - problem.centres @ exponents, exponents])

        def scaled(vector: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = evaluate_objective(problem, vector)
            return 1e3 * value, 1e3 * gradient

        options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 1000}
        best = minimize(scaled, theta, jac=True, method="L-BFGS-B", options=options)
        found.append(float(best.fun) / 1e3)
    least = min(found)
    return least, int(np.sum(np.array(found) < least * (1 + 1e-6)))


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


def main() -> None:
    """Print the table."""
    rows, label = read_rows()
    problem = make_problem(rows)
    point, boot = Settings(replicas=0, hold_out="none"), 4000
    parametric, vpnls = get_law("chinchilla_parametric"), get_law("chinchilla_vpnls")
    rng = np.random.default_rng(42)
    counts = rng.multinomial(rows.n, np.full(rows.n, 1 / rows.n), size=boot).astype(float)
    x = np.geomspace(1, 1e4, 30)
    ladder = Rows({"x": x}, (1.7 + 2 * x**-0.25) * (1 + 0.002 * rng.standard_normal(30)))
    sweep, curves = make_sweep(2000), make_schedule_rows(100)
    broken = get_law("broken_power")
    assert broken.design is not None
    bx = broken.design()["x"]
    by = 0.05 + 1.5 * bx**-0.1 * (1 + (bx / 100) ** (1 / 0.3)) ** (-0.4 * 0.3)
    annealing = point.with_options(**{"lambda": 0.999})
    least, reached = search_by_lbfgs(problem, 64)
    table: list[tuple[str, float]] = [
        (
            f"Chinchilla, {label} rows, cold point",
            measure(lambda: fit_replicas(problem, np.ones((1, rows.n)), 1e-12, 1000)),
        ),
        (
            f"the same by 64 starts of L-BFGS-B ({reached} reach {least:.6e})",
            measure(lambda: search_by_lbfgs(problem, 64), 1),
        ),
        (
            f"Chinchilla, {boot} cold bootstraps",
            measure(lambda: fit_replicas(problem, counts, 1e-7)),
        ),
        ("VPNLS", measure(lambda: fit_law(vpnls, rows, point))),
        ("approach 3, all of a fit, 1,000 replicas", measure(lambda: fit_law(parametric, rows))),
        (
            "power_law_constant, 30 rows, 1,000 replicas",
            measure(lambda: fit_law(get_law("power_law_constant"), ladder)),
        ),
        ("LR sweep, 2,000 runs, 1,000 replicas", measure(lambda: analyse_lr_sweep(sweep))),
        (
            "lr_annealing, 100 curves, one lambda",
            measure(lambda: fit_law(get_law("lr_annealing"), curves, annealing)),
        ),
        (
            "multi_power, 3 curves of 4,000 steps, 12 starts",
            measure(lambda: fit_law(get_law("multi_power"), make_schedule_rows(3), point)),
        ),
        (
            "broken_power, one break, 60 starts",
            measure(lambda: fit_law(broken, Rows({"x": bx}, by), point)),
        ),
    ]
    print(f"{'work':<64}{'seconds':>10}")
    for work, seconds in table:
        print(f"{work:<64}{seconds:>10.3f}")


if __name__ == "__main__":
    main()
