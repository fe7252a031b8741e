"""Quality pools of data: the utility of a pool falls by half every tau repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitting.maths.batched import CurveProblem, fit_curves
from fitting.maths.separable import Polished
from fitting.maths.types import (
    Columns,
    CurveForm,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

MIN_EPOCHS = 2.0
MAX_EPOCHS = 256.0  # epochs are multiplied one by one; more means a wrong unit or an empty pool
MAX_HALVINGS = 64.0  # epochs of less utility than 2^-64 change no digit
SOURCE_UNIT = 1e5


def measure_decay(
    samples: FloatArray, pool: FloatArray | float, b: FloatArray | float, tau: FloatArray | float
) -> FloatArray:
    """Return ``n_1^b_1 prod_j (n_j / n_(j-1))^b_j`` with ``b_(j+1) = b 2^(-j/tau)``.

    Parameters
    ----------
    samples : ndarray, samples seen
    pool : size of the pool, in the unit of samples
    b : exponent of the first epoch, negative
    tau : repetitions to half the utility

    Returns
    -------
    ndarray of the broadcast shape, without unit

    References
    ----------
    Goyal et al. 2024, arXiv 2404.07177; locuslab/scaling_laws_data_filtering@ba37663
    """
    n = np.asarray(samples, dtype=np.float64)
    first = np.minimum(n, pool)
    log_y = b * np.log(first)
    seen = float(np.max(n / pool)) - 1e-9
    epochs = int(np.ceil(min(seen, MAX_HALVINGS * float(np.max(tau)) + 1)))
    for j in range(1, epochs):
        before = np.minimum(n, j * np.asarray(pool))
        after = np.minimum(n, (j + 1) * np.asarray(pool))
        log_y = log_y + b * 2.0 ** (-j / np.asarray(tau)) * np.log(after / before)
    decay: FloatArray = np.exp(log_y)
    return decay


@dataclass(frozen=True)
class SourcePool:
    """A pool with the source's constants: size, b, tau, a (inside the power) and d."""

    size: float
    b: float
    tau: float
    a: float
    d: float

    def evaluate(self, samples: float, as_released: bool = False) -> float:
        """Return the metric after a number of samples.

        Parameters
        ----------
        as_released : multiply d by the epoch ratios too, as the released code does
        """
        seen = min(samples, self.size)
        first = float((self.a * seen / SOURCE_UNIT) ** self.b)
        whole = float(measure_decay(np.array([samples]), self.size, self.b, self.tau)[0])
        ratio = whole / float(seen**self.b)
        return (first + self.d) * ratio if as_released else first * ratio + self.d


def mix_pools(
    samples: float, pool: float, b: Sequence[float], tau: Sequence[float], a: float, d: float
) -> float:
    """Return the metric of a mixture of equal pools; an epoch is p pools long.

    Parameters
    ----------
    samples : samples seen
    pool : size of each pool, in the unit of samples
    b, tau : of each pool
    a, d : amplitude and limit that the pools share

    Returns
    -------
    error as a fraction

    References
    ----------
    Goyal et al. 2024, arXiv 2404.07177; locuslab/scaling_laws_data_filtering@ba37663
    """
    exponents, halves, p = np.array(b), np.array(tau), len(b)
    length = p * pool
    log_y, done, passes = 0.0, 0.0, 0
    while done < samples - 1e-9 and passes <= MAX_HALVINGS * p * float(halves.max()):
        upto = min(samples, (passes + 1) * length)
        effective = float(np.mean(exponents * 2.0 ** (-passes / (p * halves))))
        log_y += effective * (np.log(upto) if passes == 0 else np.log(upto / done))
        done, passes = upto, passes + 1
    return float(a * np.exp(log_y) + d)


def find_best_count(
    samples: float, pool: float, b: Sequence[float], tau: Sequence[float], a: float, d: float
) -> int:
    """Return how many of the pools, best first, give the lowest metric at a number of samples.

    Parameters
    ----------
    samples : samples seen
    pool : size of each pool, in the unit of samples
    b, tau : of each pool, best first
    a, d : amplitude and limit that the pools share

    Returns
    -------
    number of pools, from 1

    References
    ----------
    Goyal et al. 2024, arXiv 2404.07177; locuslab/scaling_laws_data_filtering@ba37663
    """
    scores = [
        mix_pools(samples, pool, b[:count], tau[:count], a, d) for count in range(1, len(b) + 1)
    ]
    return int(np.argmin(scores)) + 1


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse pools of unequal size, and pools without rows beyond two epochs."""
    pool = rows.columns["pool_size"]
    if np.ptp(np.log(pool)) > 1e-6:
        return Refusal("mixed", "the pools differ in size; mixtures need equal pools", "")
    for name, places in rows.split_groups().items():
        most = float(np.max(rows.columns["samples"][places] / pool[places]))
        if most <= MIN_EPOCHS:
            return Refusal(
                "span",
                f"pool {name or '1'} is seen {most:.3g} times; tau needs more than 2 epochs",
                "repeat the pool more often",
            )
        if most > MAX_EPOCHS:
            return Refusal(
                "span",
                f"pool {name or '1'} is seen {most:.3g} times; at most {MAX_EPOCHS:g} are fitted",
                "give samples and pool_size in the same unit",
            )
    return None


def _make_problem(rows: Rows) -> CurveProblem:
    """Return the fit of b and tau per pool with shared a and d; it searches -b."""
    labels = list(rows.split_groups())
    index = np.array([labels.index(name) for name in (rows.groups or ("",) * rows.n)])
    n_pools = len(labels)
    names = ("a", "d", *(f"b[{name}]" for name in labels), *(f"tau[{name}]" for name in labels))

    def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
        b = -np.concatenate([params[f"b[{name}]"] for name in labels], axis=1)[:, index]
        tau = np.concatenate([params[f"tau[{name}]"] for name in labels], axis=1)[:, index]
        decay = measure_decay(columns["samples"][None, :], columns["pool_size"], b, tau)
        predicted: FloatArray = params["a"] * decay + params["d"]
        return predicted

    form = CurveForm(
        predict,
        lambda rows, options: np.empty((0, len(names))),
        (-15.0, 0.0, *([np.log(1e-3)] * n_pools), *([np.log(0.3)] * n_pools)),
        (15.0, float(rows.target.min()), *([np.log(3.0)] * n_pools), *([np.log(60.0)] * n_pools)),
        (True, False, *([True] * (2 * n_pools))),
    )
    weights = 1.0 / rows.target**2
    return CurveProblem(form, names, rows.columns, {}, rows.target, LAW.objective, weights)


def _find_optimum(problem: CurveProblem, rows: Rows) -> Polished:
    """Fit from several starts, best first."""
    n_pools = (len(problem.names) - 2) // 2
    low, first = float(rows.target.min()), float(rows.columns["samples"].min())
    starts = [
        [np.log((rows.target.max() - share * low) * first**slope), share * low]
        + [np.log(slope)] * n_pools
        + [np.log(half)] * n_pools
        for share in (0.0, 0.4, 0.8)
        for slope in (0.08, 0.25)
        for half in (2.0, 8.0)
    ]
    return fit_curves(problem, np.ones((len(starts), rows.n)), np.array(starts), 1e-12, 600)


def _read(problem: CurveProblem, theta: FloatArray) -> dict[str, FloatArray]:
    params = problem.read_params(theta)
    return {name: -v if name.startswith("b[") else v for name, v in params.items()}


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample runs inside each pool; every replica starts at the optimum of all rows."""
    problem = _make_problem(rows)
    found = _find_optimum(problem, rows)
    counts = draw_counts(rows, settings.replicas, settings.seed, within_groups=True)
    best = found.theta[[int(np.argmin(found.objective))]]
    drawn = fit_curves(problem, counts, np.repeat(best, len(counts), axis=0), 1e-7, 600)
    params = _read(problem, drawn.theta)
    return {name: np.where(drawn.converged, v, np.nan) for name, v in params.items()}


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit b and tau of each pool with shared a and d, from several starts."""
    problem, labels = _make_problem(rows), list(rows.split_groups())
    found = _find_optimum(problem, rows)
    best = int(np.argmin(found.objective))
    params = _read(problem, found.theta[best : best + 1])
    values = {name: float(value[0]) for name, value in params.items()}
    order = sorted(labels, key=lambda name: values[f"b[{name}]"])
    table = tuple({"pool": name, "rank": place + 1} for place, name in enumerate(order))
    return Point(values, float(found.objective[best]), table=table)


LAW = Law(
    slug="quality_pools",
    title="Quality pools and repetition",
    formula="y = a n_1^b_1 prod_j (n_j/n_(j-1))^b_j + d, b_(j+1) = b 2^(-j/tau)",
    tex=r"y = a\,n_1^{b_1} \prod_{j \ge 2} (n_j / n_{j-1})^{b_j} + d,\; b_{j+1} = b\,2^{-j/\tau}",
    inputs=(
        LawInput("samples", "n", "samples seen", octaves=1.0),
        LawInput("pool_size", "m", "samples in the pool"),
    ),
    target=LawInput("error", "y", "1 - accuracy"),
    params=(LawParam("a", "amplitude, shared"), LawParam("d", "floor, shared")),
    structure=Procedure(run, "within_groups", replicate),
    objective=Objective("least_squares", "linear", weights="1/y^2"),
    source="Goyal et al. 2024, arXiv 2404.07177; locuslab/scaling_laws_data_filtering@ba37663",
    group="pool",
    procedure="Bounded least squares from twelve starts; b and tau per pool, a and d shared.",
    pitfalls=(
        "The released code multiplies d by the epoch ratios and takes a inside the power.",
        "A loss that rises with repetitions breaks the form.",
    ),
    refuse=refuse,
)
