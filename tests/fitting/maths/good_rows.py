"""Rows that every registered law fits, with the options it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fitting.maths.registry import list_laws
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.laws.test_chinchilla_envelope import make_curves
from tests.fitting.maths.laws.test_coverage import make_problems
from tests.fitting.maths.laws.test_further_laws import make_ensembles, make_tail
from tests.fitting.maths.laws.test_isoflop import make_profiles
from tests.fitting.maths.laws.test_learning_curve import HORIZON, make_curve
from tests.fitting.maths.laws.test_quality_pools import make_pools
from tests.fitting.maths.laws.test_schedule_laws import make_annealing_curves
from tests.fitting.maths.laws.test_step_law import make_sweeps
from tests.fitting.maths.laws.test_task_pass_rate import make_models
from tests.fitting.maths.laws.test_training_algorithm_score import make_runs
from tests.fitting.maths.synthetic import NEEDED, make_rows


def make_ladders() -> Rows:
    """Return two ladders that cross once."""
    flops = np.tile(np.geomspace(1e17, 1e21, 12), 2)
    low, steep = 1.85 + (flops / 1e17) ** -0.2, 1.75 + 2.0 * (flops / 1e17) ** -0.3
    second = np.arange(24) >= 12
    noise = 1 + 1e-4 * np.random.default_rng(0).standard_normal(24)
    return Rows(
        {"flops": flops},
        np.where(second, steep, low) * noise,
        groups=tuple("b" if item else "a" for item in second),
    )


def make_lr_sweep(with_initial: bool) -> Rows:
    """Return five sizes by seven learning rates on the standard grid."""
    lr, n = np.meshgrid(np.logspace(-4, -1, 7), np.geomspace(1e6, 1e8, 5))
    lr, n = lr.ravel(), n.ravel()
    best = 4e-3 * (n / 1e6) ** -0.2
    loss = 3.0 * (n / 1e6) ** -0.05 + 0.03 * np.log(lr / best) ** 2
    loss = loss * (1 + 1e-4 * np.random.default_rng(1).standard_normal(n.size))
    columns = {"n_params": n, "peak_lr": lr}
    if with_initial:
        columns["loss_at_init"] = np.full(n.size, 11.0)
    return Rows(columns, loss)


def thin(rows: Rows, step: int) -> Rows:
    return rows.take(np.arange(0, rows.n, step))


MAKERS: dict[str, Callable[[], Rows]] = {
    "chinchilla_envelope": lambda: thin(make_curves(24), 5),
    "coverage_beta_binomial": lambda: make_problems(0, 60),
    "coverage_power": lambda: make_problems(0, 60),
    "crossover": make_ladders,
    "ensemble_asymptote": lambda: make_ensembles(0.0003),
    "isoflop": lambda: make_profiles(1.0),
    "learning_curve": lambda: make_curve("power", 0.5, 0),
    "lr_annealing": lambda: thin(make_annealing_curves(1e-4), 6),
    "lr_optimum": lambda: make_lr_sweep(with_initial=False),
    "lr_sensitivity": lambda: make_lr_sweep(with_initial=True),
    "multi_power": lambda: thin(make_annealing_curves(1e-4), 6),
    "power_or_exponential": lambda: make_tail("power", 0),
    "quality_pools": lambda: make_pools(0.0005),
    "step_law_surface": lambda: make_sweeps(1e-4),
    "step_law_threshold": lambda: make_sweeps(1e-4),
    "task_pass_rate": lambda: make_models(400, 1),
    "training_algorithm_score": make_runs,
}
OPTIONS: dict[str, dict[str, object]] = {
    **NEEDED,
    "learning_curve": {"horizon": HORIZON},
    "lr_annealing": {"lambda": 0.999},
    "multi_power": {"bins": 60},
}
# what scaling an input column by any unit must leave as it is
UNITLESS: dict[str, tuple[str, ...]] = {
    "chinchilla_envelope": ("a", "b"),
    "coverage_power": (),
    "crossover": (),
    "ensemble_asymptote": ("alpha_K",),
    "isoflop": ("a", "b"),
    "lr_optimum": ("exponent",),
    "lr_sensitivity": (),
    "power_or_exponential": ("nu", "error_ratio"),
    "step_law_surface": ("lr_N", "lr_D", "bs_D"),
    "step_law_threshold": ("lr_N", "lr_D", "bs_D"),
    "task_pass_rate": ("alpha",),
}
SLUGS = tuple(list_laws())


def make_good(slug: str) -> Rows:
    """Return rows with ids that the law fits."""
    rows = MAKERS[slug]() if slug in MAKERS else make_rows(slug, 0.0005)
    return replace(rows, ids=tuple(f"run{place:04d}" for place in range(rows.n)))


def settings_for(slug: str, replicas: int = 0) -> Settings:
    return Settings(replicas, hold_out="none", options=OPTIONS.get(slug, {}))
