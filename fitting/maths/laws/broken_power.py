"""Broken power law (BNSL) with one smooth break."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.separable import solve_normal
from fitting.maths.types import (
    Columns,
    CurveForm,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Refusal,
    Review,
    Rows,
)

N_DRAWS, N_STARTS = 240, 60
EDGE_POINTS = 3
MIN_SPARE = 3


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return ``a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1)``."""
    log_x = np.log(columns["x"])
    bend = np.logaddexp(0.0, (log_x - np.log(params["d1"])) / params["f1"])
    exponent = -params["c0"] * log_x - params["c1"] * params["f1"] * bend
    return params["a"] + params["b"] * np.exp(np.clip(exponent, -700, 700))


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read the break from its place between the smallest and the largest x, as 0 to 1."""
    low, high = np.log(centres["x_min"]), np.log(centres["x_max"])
    return {**searched, "d1": np.exp(low + searched["d1"] * (high - low))}


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return the best of many random shapes, each with its best limit and amplitude."""
    rng = np.random.default_rng(int(str(options["start_seed"])))
    log_x, y = np.log(rows.columns["x"]), rows.target
    shapes = np.stack(
        [
            rng.uniform(0.0, 0.6, N_DRAWS),
            rng.uniform(-0.5, 1.0, N_DRAWS),
            rng.uniform(0.0, 1.0, N_DRAWS),
            rng.uniform(-3.0, 1.0, N_DRAWS),
        ],
        axis=1,
    )
    c0, c1, place_d, log_f = (shapes[:, [place]] for place in range(4))
    log_d = log_x.min() + place_d * np.ptp(log_x)
    bend = np.logaddexp(0.0, (log_x - log_d) / np.exp(log_f))
    shape = np.exp(np.clip(-c0 * log_x - c1 * np.exp(log_f) * bend, -700, 700))
    weights = 1.0 / (y + 1.0) ** 2
    gram = np.array(
        [
            [np.full(N_DRAWS, weights.sum()), shape @ weights],
            [shape @ weights, shape**2 @ weights],
        ]
    )
    right = np.array([np.full(N_DRAWS, weights @ y), shape @ (weights * y)])
    limit, amplitude = solve_normal(gram, right)
    limit = np.maximum(limit, 1e-3 * y.min())
    amplitude = np.where(amplitude > 0.0, amplitude, y.max() / shape.max(axis=1))
    misfit = np.log1p(y) - np.log1p(limit[:, None] + amplitude[:, None] * shape)
    best = np.argsort(np.sum(misfit**2, axis=1), kind="stable")[:N_STARTS]
    starts = np.concatenate([np.log(np.stack([limit, amplitude], axis=1)), shapes], axis=1)
    return starts[best]


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse fewer than p + 3 points."""
    needed = len(LAW.params) + MIN_SPARE
    if rows.n >= needed:
        return None
    return Refusal(
        "too_few_points",
        f"a broken power law has {len(LAW.params)} parameters and needs {needed} points; "
        f"have {rows.n}",
        "more points, or power_law_constant",
    )


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Refuse a break with fewer than three points on either side."""
    below = int(np.sum(rows.columns["x"] < params["d1"]))
    fewest = min(below, rows.n - below)
    if fewest >= EDGE_POINTS:
        return Review()
    return Review(
        refusal=Refusal(
            "not_interior",
            f"the break at {params['d1']:.4g} has {fewest} points on one side; it needs "
            f"{EDGE_POINTS}",
            "more points beyond the break, or power_law_constant",
        )
    )


def design() -> dict[str, np.ndarray]:
    """Return 120 points over eight decades."""
    return {"x": np.geomspace(1e-2, 1e6, 120)}


LAW = Law(
    slug="broken_power",
    title="Broken power law, one break",
    formula="y = a + b x^-c0 (1 + (x/d1)^(1/f1))^(-c1 f1)",
    tex=r"y = a + b\,x^{-c_0}\left(1 + (x/d_1)^{1/f_1}\right)^{-c_1 f_1}",
    inputs=(LawInput("x", "x", "any scale", octaves=2.0),),
    target=LawInput("loss", "y", "any positive metric"),
    params=(
        LawParam("a", "limit", lower=0.0, bound_has_meaning=True),
        LawParam("b", "amplitude"),
        LawParam("c0", "first exponent"),
        LawParam("c1", "change of exponent at the break"),
        LawParam("d1", "place of the break"),
        LawParam("f1", "width of the break"),
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (-30.0, -50.0, -2.0, -3.0, 0.0, -6.0),
        (50.0, 50.0, 3.0, 4.0, 1.0, 1.5),
        (True, True, False, False, False, True),
        decode=decode,
        replica_starts=3,
    ),
    objective=Objective("least_squares", "log1p"),
    source="Caballero et al. 2023, arXiv 2210.14891; "
    "ethancaballero/broken_neural_scaling_laws@ffa608f",
    procedure="Least squares on log(y + 1) from the best 60 of 240 random shapes.",
    pitfalls=("A second break only when the held-out error falls.",),
    options=(LawOption("start_seed", 0, "seed of the random starts", least=0),),
    curve_role="x",
    refuse=refuse,
    review=review,
    truth={"a": 0.05, "b": 1.5, "c0": 0.1, "c1": 0.4, "d1": 100.0, "f1": 0.3},
    design=design,
)
