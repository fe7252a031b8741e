"""Rows made from a law's own truth and design."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.engine import fit_law
from fitting.maths.fitters import make_fitter
from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import Fit, FloatArray, Law, Refusal, Rows, Settings

# Options without which a law refuses, and which its design assumes.
NEEDED: dict[str, dict[str, object]] = {"rl_sigmoid": {"r0": 0.3}}


def list_self_tested() -> list[str]:
    return [slug for slug, law in list_laws().items() if law.design is not None]


def settings_of(law: Law, replicas: int = 0, level: float = 0.95, **options: object) -> Settings:
    needed = {**NEEDED.get(law.slug, {}), **options}
    return Settings(replicas=replicas, level=level, options=needed)


def predict_truth(law: Law, columns: Mapping[str, FloatArray]) -> FloatArray:
    n = next(iter(columns.values())).size
    options = law.read_options(NEEDED.get(law.slug, {}))
    truth = {name: np.array([value]) for name, value in law.truth.items()}
    predicted = make_fitter(law, Rows(columns, np.ones(n)), options).predict(truth, columns)
    assert predicted is not None
    row: FloatArray = predicted[0]
    return row


def make_rows(slug: str, noise: float = 0.0, seed: int = 0) -> Rows:
    """Return the design's rows with relative noise, ids in their order."""
    law = get_law(slug)
    assert law.design is not None
    columns = dict(law.design())
    y = predict_truth(law, columns)
    y = y * (1.0 + noise * np.random.default_rng(seed).standard_normal(y.size))
    return Rows(columns, y, tuple(f"run{place:04d}" for place in range(y.size)))


def fit_rows(slug: str, rows: Rows, settings: Settings | None = None) -> Fit:
    found = fit_law(get_law(slug), rows, settings or settings_of(get_law(slug)))
    assert isinstance(found, Fit), found
    return found


def refuse_rows(slug: str, rows: Rows, settings: Settings | None = None) -> Refusal:
    found = fit_law(get_law(slug), rows, settings or settings_of(get_law(slug)))
    assert isinstance(found, Refusal)
    return found
