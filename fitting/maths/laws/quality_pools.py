"""Quality pools of data: the utility of a pool falls by half every tau repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fitting.maths.batched import CurveProblem, fit_curves
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
)

MIN_EPOCHS = 2.0
MAX_EPOCHS = 256.0  # epochs are multiplied one by one; more means a wrong unit or an empty pool
MAX_HALVINGS = 64.0  # epochs of less utility than 2^-64 change no digit
SOURCE_UNIT = 1e5


def measure_decay(
    samples: FloatArray, pool: FloatArray | float, b: FloatArray | float, tau: FloatArray | float
) -> FloatArray:
    """Return ``n_1^b_1 prod_j (n_j / n_(j-1))^b_j`` with ``b_(j+1) = b 2^(-j/tau)``."""
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
    """Return the metric of a mixture of equal pools; an epoch is p pools long."""
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
    """Return how many of the pools, best first, give the lowest metric at a number of samples."""
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


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit b and tau of each pool with shared a and d, from several starts."""
    groups = rows.split_groups()
    labels = list(groups)
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
    problem = CurveProblem(
        form, names, rows.columns, {}, rows.target, LAW.objective, 1.0 / rows.target**2
    )
    low, first = float(rows.target.min()), float(rows.columns["samples"].min())
    starts = [
        [np.log((rows.target.max() - share * low) * first**slope), share * low]
        + [np.log(slope)] * n_pools
        + [np.log(half)] * n_pools
        for share in (0.0, 0.4, 0.8)
        for slope in (0.08, 0.25)
        for half in (2.0, 8.0)
    ]
    found = fit_curves(problem, np.ones((len(starts), rows.n)), np.array(starts), 1e-12, 600)
    best = int(np.argmin(found.objective))
    params = problem.read_params(found.theta[best : best + 1])
    values = {name: float(params[name][0]) for name in names}
    values |= {name: -value for name, value in values.items() if name.startswith("b[")}
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
    structure=Procedure(run, "within_groups"),
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
