"""Learning-rate sensitivity: how much loss a badly chosen learning rate costs.

``E_lr[min(l(lr), l0) - l*]``, the plain mean over the standard grid, ``l* = min over the grid`` and
l0 the loss at initialisation (Wortsman et al. 2023, arXiv 2309.14322, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.lr_exponent import follow_power
from fitting.maths.lr_points import unify_lr
from fitting.maths.records import INTERNAL
from fitting.maths.types import (
    BoolArray,
    FloatArray,
    Interval,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Record,
    Refusal,
    Rows,
    Settings,
)

STANDARD_GRID = np.array([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1])
SHIFTED_GRID = np.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1])
SAME_GRID_LR = 0.01
MIN_LRS = 3
MIN_SIZES = 3


@dataclass(frozen=True)
class LrSensitivity(Record):
    """Sensitivity of one scale and variant.

    Parameters
    ----------
    value : nats; mean excess loss over the grid, each run capped at its initial loss
    left, right : the parts below and above the best learning rate; they sum to `value`
    interval : bootstrap over seeds; None with a `reason` where no learning rate was repeated
    grid : "standard", or "non-standard" (trapezoid over log lr divided by its range)
    coverage : "5/7" on the standard grid, "9 LRs" elsewhere
    lrs, losses : the grid used and the capped mean losses
    missing : standard learning rates without a finished run
    ignored : learning rates outside the standard grid that a complete grid made unnecessary
    n_seeds : largest number of runs at one learning rate
    n_capped : runs that entered as their initial loss
    at_chance : every learning rate is at the initial loss: the value 0 then says nothing good
    shifted : value over [1e-4, 1e-1] where that grid is complete, else None
    lower : the lower of `value` and `shifted` where the optimum moves (section 3.2.2 of the paper)
    """

    value: float
    left: float
    right: float
    interval: Interval | None
    reason: str
    grid: str
    coverage: str
    lrs: FloatArray
    losses: FloatArray
    missing: FloatArray
    ignored: FloatArray
    n_seeds: int
    n_capped: int
    at_chance: bool
    shifted: float | None = None
    lower: float | None = None
    replicas: FloatArray = field(default_factory=lambda: np.empty(0), repr=False, metadata=INTERNAL)


def measure_sensitivity(
    lr: FloatArray,
    loss: FloatArray,
    loss_at_init: FloatArray,
    replicas: int = 1000,
    seed: int = 0,
) -> LrSensitivity | Refusal:
    """Measure the sensitivity of one scale and variant.

    Parameters
    ----------
    lr, loss : ndarray, shape (n,), finished runs; a diverged run has any loss, also NaN
    loss_at_init : ndarray, shape (n,), loss at initialisation; NaN = the median of the others
    replicas, seed : of the interval

    Returns
    -------
    the sensitivity in nats with its interval and coverage, or a Refusal

    Notes
    -----
    Unfinished runs must not be in the input. Series are comparable only where `grid`, `coverage`
    and `lrs` agree. Short runs are undertrained at low rates: look at `left` and `right` apart.
    """
    lr, initial = unify_lr(lr), loss_at_init
    known = np.isfinite(initial)
    if lr.size == 0 or not known.any():
        what = "no finished run" if lr.size == 0 else "loss_at_init not logged"
        return Refusal("missing_input", f"LR sensitivity unknown: {what}", "log loss_at_init")
    initial = np.where(known, initial, np.median(initial[known]))
    capped = np.where(np.isfinite(loss), np.minimum(loss, initial), initial)
    chosen = _choose_grid(np.unique(lr))
    if chosen.lrs.size < MIN_LRS:
        return Refusal(
            "too_few_points",
            f"LR sensitivity needs >= {MIN_LRS} LRs; have {chosen.lrs.size}",
            "train this size at more learning rates",
        )
    cells = [capped[lr == level] for level in chosen.lrs]
    losses = np.array([cell.mean() for cell in cells])
    value, left, right = _split(chosen, losses[None, :])
    interval, reason, draws = _bootstrap(chosen, cells, replicas, seed)
    measured = LrSensitivity(
        value=float(value[0]),
        left=float(left[0]),
        right=float(right[0]),
        interval=interval,
        reason=reason,
        grid=chosen.kind,
        coverage=chosen.coverage,
        lrs=chosen.lrs,
        losses=losses,
        missing=chosen.missing,
        ignored=chosen.ignored,
        n_seeds=max(cell.size for cell in cells),
        n_capped=int(np.sum(~(loss <= initial))),
        at_chance=bool(np.all(capped >= initial)),
        replicas=draws,
    )
    return _add_shifted(measured, lr, capped)


def compare_grids(first: LrSensitivity, second: LrSensitivity) -> Refusal | None:
    """Return why two sensitivities must not be compared, or None where they may.

    Parameters
    ----------
    first, second : of two series

    Returns
    -------
    a Refusal, or None

    References
    ----------
    Wortsman et al. 2023, arXiv 2309.14322, section 2.2
    """
    same = first.lrs.size == second.lrs.size and bool(
        np.all(np.isclose(first.lrs, second.lrs, rtol=SAME_GRID_LR))
    )
    if same:
        return None
    return Refusal(
        "different_grids",
        f"sensitivities over different LRs ({first.coverage} from {first.lrs[0]:.3g} to "
        f"{first.lrs[-1]:.3g}, {second.coverage} from {second.lrs[0]:.3g} to "
        f"{second.lrs[-1]:.3g}) are not comparable",
        "train the missing learning rates, or restrict both to their common range",
    )


def integrate_range(lr: FloatArray, loss: FloatArray, low: float, high: float) -> float:
    """Return the mean excess of capped losses over [low, high], by trapezoid over log lr.

    Parameters
    ----------
    lr, loss : ndarray, shape (n,), ascending learning rates and capped losses
    low, high : common range; losses at its ends are interpolated linearly in log lr

    Returns
    -------
    mean excess over the least loss, in nats

    References
    ----------
    Wortsman et al. 2023, arXiv 2309.14322, section 2.2
    """
    x = np.log(lr)
    ends = np.log([low, high])
    inner = x[(x > ends[0]) & (x < ends[1])]
    grid = np.concatenate([ends[:1], inner, ends[1:]])
    values = np.interp(grid, x, loss)
    return float(np.trapezoid(values - values.min(), grid) / (ends[1] - ends[0]))


@dataclass(frozen=True)
class _Grid:
    kind: str
    coverage: str
    lrs: FloatArray
    missing: FloatArray
    ignored: FloatArray


def _choose_grid(levels: FloatArray) -> _Grid:
    nearest = np.abs(np.log(levels)[:, None] - np.log(STANDARD_GRID)[None, :])
    is_standard: BoolArray = np.min(nearest, axis=1) < SAME_GRID_LR
    covered: BoolArray = np.min(nearest, axis=0) < SAME_GRID_LR
    if is_standard.all() or covered.all():
        standard = levels[is_standard]
        coverage = f"{int(covered.sum())}/{STANDARD_GRID.size}"
        missing, ignored = STANDARD_GRID[~covered], levels[~is_standard]
        return _Grid("standard", coverage, standard, missing, ignored)
    return _Grid("non-standard", f"{levels.size} LRs", levels, np.empty(0), np.empty(0))


def _split(grid: _Grid, losses: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return total, left and right of the optimum for each row of losses (B, n)."""
    best = np.argmin(losses, axis=1)
    excess = losses - losses.min(axis=1, keepdims=True)
    if grid.kind == "standard":
        below = np.arange(losses.shape[1])[None, :] < best[:, None]
        left = np.mean(np.where(below, excess, 0.0), axis=1)
        return np.mean(excess, axis=1), left, np.mean(np.where(below, 0.0, excess), axis=1)
    x = np.log(grid.lrs)
    pieces = 0.5 * (excess[:, 1:] + excess[:, :-1]) * np.diff(x) / (x[-1] - x[0])
    below = np.arange(pieces.shape[1])[None, :] < best[:, None]
    left = np.sum(np.where(below, pieces, 0.0), axis=1)
    return np.sum(pieces, axis=1), left, np.sum(np.where(below, 0.0, pieces), axis=1)


def _bootstrap(
    grid: _Grid, cells: list[FloatArray], replicas: int, seed: int
) -> tuple[Interval | None, str, FloatArray]:
    repeated = sum(cell.size > 1 for cell in cells)
    if repeated == 0 or replicas == 0:
        return None, "no interval: one seed per LR, seed noise unknown", np.empty(0)
    rng = np.random.default_rng(seed)
    draws = [cell[rng.integers(cell.size, size=(replicas, cell.size))].mean(1) for cell in cells]
    value, _, _ = _split(grid, np.stack(draws, axis=1))
    low, high = np.quantile(value, [0.025, 0.975])
    partial = f"{len(cells) - repeated} of {len(cells)} LRs have one seed and count as exact"
    reason = "" if repeated == len(cells) else partial
    return Interval(float(low), float(high)), reason, value


def _add_shifted(measured: LrSensitivity, lr: FloatArray, capped: FloatArray) -> LrSensitivity:
    """Add the value over [1e-4, 1e-1] where both windows of three decades are complete."""
    if measured.coverage != f"{STANDARD_GRID.size}/{STANDARD_GRID.size}":
        return measured
    near = np.abs(np.log(lr)[:, None] - np.log(SHIFTED_GRID)[None, :]) < SAME_GRID_LR
    if not near.any(axis=0).all():
        return measured
    losses = np.array([capped[near[:, place]].mean() for place in range(SHIFTED_GRID.size)])
    shifted = float(np.mean(losses - losses.min()))
    return replace(measured, shifted=shifted, lower=min(measured.value, shifted))


def _analyse(
    rows: Rows, seed: int, replicas: int
) -> tuple[FloatArray, list[LrSensitivity], list[dict[str, object]]]:
    sizes, found, table = [], [], []
    initial = rows.columns.get("loss_at_init", np.full(rows.n, np.nan))
    for number, size in enumerate(np.unique(rows.columns["n_params"])):
        here = rows.columns["n_params"] == size
        lr = rows.columns["peak_lr"][here]
        measured = measure_sensitivity(
            lr, rows.target[here], initial[here], replicas, seed + number
        )
        row: dict[str, object] = {"n_params": float(size)}
        if isinstance(measured, Refusal):
            table.append({**row, "sentence": measured.sentence})
            continue
        shown = {"value": measured.value, "left": measured.left, "right": measured.right}
        table.append({**row, **shown, "coverage": measured.coverage, "grid": measured.grid})
        sizes.append(float(size))
        found.append(measured)
    return np.array(sizes), found, table


def _refuse_series(sizes: FloatArray, found: list[LrSensitivity]) -> Refusal | None:
    if sizes.size < MIN_SIZES:
        return Refusal(
            "too_few_groups",
            f"the law of LR sensitivity needs >= {MIN_SIZES} sizes; have {sizes.size}",
            "sweep more sizes",
        )
    if min(item.value for item in found) <= 0.0:
        return Refusal("rank", "a sensitivity is 0: a model at chance has no slope", "")
    differing = (compare_grids(found[0], item) for item in found[1:])
    return next((refusal for refusal in differing if refusal is not None), None)


@dataclass(frozen=True)
class SensitivityLaw(Record):
    """The plain power law of the sensitivity over sizes of equal grid.

    Parameters
    ----------
    exponent, log_factor : ``s(N) = exp(log_factor) N^exponent``
    interval : of the exponent, over seeds; None with a `reason`
    n_scales : sizes in the line
    """

    exponent: float
    log_factor: float
    interval: Interval | None
    reason: str
    n_scales: int
    replicas: FloatArray = field(repr=False, metadata=INTERNAL)


def fit_series(sizes: FloatArray, found: list[LrSensitivity]) -> SensitivityLaw | Refusal:
    """Fit the power law through sensitivities of equal grid.

    Parameters
    ----------
    sizes : ndarray, shape (k,), ascending parameters of the measured scales
    found : sensitivity at each

    Returns
    -------
    factor and exponent with intervals from the seeds, or a Refusal

    References
    ----------
    Wortsman et al. 2023, arXiv 2309.14322, section 2.2
    """
    refusal = _refuse_series(sizes, found)
    if refusal is not None:
        return refusal
    log_n = np.log(sizes)
    slope, intercept = np.polyfit(log_n, np.log([item.value for item in found]), 1)
    lines = np.empty((0, 2))
    interval, reason = None, "no interval: a size without repeated seeds"
    if min(item.replicas.size for item in found) > 0:
        with np.errstate(divide="ignore"):
            logs = np.log(np.stack([item.replicas for item in found]))
        usable = np.all(np.isfinite(logs), axis=0)
        lines = np.polyfit(log_n, logs[:, usable], 1).T
    if lines.shape[0] > 1:
        low, high = np.quantile(lines[:, 0], [0.025, 0.975])
        interval, reason = Interval(float(low), float(high)), ""
    return SensitivityLaw(float(slope), float(intercept), interval, reason, sizes.size, lines)


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Measure each size, then a plain power law over the sizes of equal grid."""
    sizes, found, table = _analyse(rows, 0, 0)
    line = fit_series(sizes, found)
    if isinstance(line, Refusal):
        return line
    params = {"exponent": line.exponent, "log_factor": line.log_factor}
    return Point(params, table=tuple(table))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Return the power law of each replica over seeds; nothing without repeats."""
    sizes, found, _ = _analyse(rows, settings.seed, settings.replicas)
    line = fit_series(sizes, found)
    if isinstance(line, Refusal) or line.replicas.size == 0:
        return {}
    return {"exponent": line.replicas[:, 0], "log_factor": line.replicas[:, 1]}


LAW = Law(
    slug="lr_sensitivity",
    title="Learning-rate sensitivity against scale",
    formula="s(N) = mean_lr[min(l(lr), l0) - l*] = exp(log_factor) N^exponent",
    tex=r"s = \mathbb{E}_{\eta}[\min(\ell(\eta), \ell_0) - \ell^*]",
    inputs=(
        LawInput("n_params", "N", "parameters without embeddings", octaves=1.0),
        LawInput("peak_lr", "lr", "peak learning rate"),
        LawInput("loss_at_init", "l0", "nats per token", positive=False, optional=True),
    ),
    target=LawInput("loss", "l", "final validation loss, nats per token", positive=False),
    params=(
        LawParam("exponent", "exponent of the sensitivity in N"),
        LawParam("log_factor", "natural log of the factor"),
    ),
    structure=Procedure(
        run, "within_groups", replicate, optimum=follow_power("value", "lr_sensitivity", "n_params")
    ),
    objective=Objective("least_squares", "log"),
    source="Wortsman et al. 2023, arXiv 2309.14322, section 2.2",
    group="scale",
    procedure="Plain mean over {3e-4, 1e-3, .., 3e-1} of the capped excess loss; elsewhere a "
    "trapezoid over log lr, labelled. Diverged runs count as the initial loss.",
    pitfalls=(
        "The range decides the number: only equal grids are compared.",
        "Short runs are undertrained at low learning rates: look left and right apart.",
    ),
    keeps_non_finite=True,
)
