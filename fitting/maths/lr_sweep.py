"""Everything the learning-rate page of a study shows, from one table of runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fitting.maths.diagnose.stable_lr import StableLr, find_stable_lr
from fitting.maths.digest import digest_columns, encode_labels
from fitting.maths.laws.lr_sensitivity import (
    LrSensitivity,
    SensitivityLaw,
    fit_series,
    measure_sensitivity,
)
from fitting.maths.lr_exponent import LrExponent, fit_exponent
from fitting.maths.lr_optima import LrOptimum, find_optimum
from fitting.maths.lr_points import LrPoints, gather_points, unify_lr
from fitting.maths.records import BoolArray, Exclusion, FloatArray, IntArray, Record, Refusal

MIN_LRS, MIN_SIZES = 3, 2


@dataclass(frozen=True)
class LrSweepTable:
    """One row per run.

    Parameters
    ----------
    run_ids : identifiers, unique
    scale : ndarray, shape (n,), parameters (or width); the same value = the same scale
    variant : label of each run's variant
    peak_lr : ndarray, shape (n,), peak learning rate
    loss : ndarray, shape (n,), final loss in nats; NaN or infinite where the run ended so
    loss_at_init : ndarray, shape (n,), loss at initialisation; NaN = not logged
    seed : ndarray, shape (n,), seed; NaN = not logged
    finished : ndarray, shape (n,), the run reached its end
    diverged : ndarray, shape (n,), the run's outcome is diverged, finished or not
    """

    run_ids: tuple[str, ...]
    scale: FloatArray
    variant: tuple[str, ...]
    peak_lr: FloatArray
    loss: FloatArray
    loss_at_init: FloatArray
    seed: FloatArray
    finished: BoolArray
    diverged: BoolArray

    def digest(self) -> str:
        """Return the SHA-256 of the float64 columns ordered by run id."""
        return digest_columns(
            self.run_ids,
            {
                "scale": self.scale,
                "variant": encode_labels(self.variant),
                "peak_lr": self.peak_lr,
                "loss": self.loss,
                "loss_at_init": self.loss_at_init,
                "seed": self.seed,
                "finished": self.finished.astype(np.float64),
                "diverged": self.diverged.astype(np.float64),
            },
        )


@dataclass(frozen=True)
class LrSweepSettings(Record):
    """How the sweep is analysed.

    Parameters
    ----------
    replicas : number of replicas of every interval
    seed : seed of every random step
    neighbours : points on each side of the best that enter a parabola
    stable_excess : nats above the best loss that still count as stable
    x_max_factor : the exponent's line is drawn to this multiple of the largest scale
    """

    replicas: int = 1000
    seed: int = 0
    neighbours: int = 2
    stable_excess: float = 0.1
    x_max_factor: float = 10.0


@dataclass(frozen=True)
class LrScale(Record):
    """What one scale of one variant says.

    Parameters
    ----------
    run_ids : finished, stable runs behind the parabola's candidates
    points : means over seeds at each learning rate, and the learning rates that diverged
    optimum, sensitivity, stable : results, or why there is none
    loss_at_init : median over the runs; NaN = not logged
    """

    variant: str
    scale: float
    run_ids: tuple[str, ...]
    n_runs: int
    n_diverged: int
    points: LrPoints
    loss_at_init: float
    optimum: LrOptimum | Refusal
    sensitivity: LrSensitivity | Refusal
    stable: StableLr | Refusal


@dataclass(frozen=True)
class LrVariant(Record):
    """The power laws of one variant: best learning rate, and sensitivity, against scale."""

    variant: str
    exponent: LrExponent | Refusal
    sensitivity: SensitivityLaw | Refusal


@dataclass(frozen=True)
class LrSweepResult(Record):
    """The analysis with all that is needed to repeat it.

    Parameters
    ----------
    refusal : why the study as a whole is too small; scales and variants then still say their part
    """

    scales: tuple[LrScale, ...]
    variants: tuple[LrVariant, ...]
    refusal: Refusal | None
    exclusions: tuple[Exclusion, ...]
    n_runs: int
    n_used: int
    digest: str
    settings: LrSweepSettings
    version: int = 1
    estimators: tuple[str, ...] = field(default=("parabola in log lr", "weights: runs per mean"))


def analyse_lr_sweep(table: LrSweepTable, settings: LrSweepSettings | None = None) -> LrSweepResult:
    """Find optima, exponents, sensitivities and highest stable rates of a sweep.

    Parameters
    ----------
    table : one row per run
    settings : None = the defaults

    Returns
    -------
    per scale and variant the optimum, the sensitivity and the highest stable rate, per variant the
    exponents; each a result or a Refusal

    Notes
    -----
    A run is diverged here when it is marked so, its final loss is not finite or its final loss
    exceeds its loss at initialisation. Diverged runs are dropped from the parabolas and enter the
    sensitivity as their initial loss; unfinished runs that did not diverge take no part in either.

    References
    ----------
    Wortsman et al. 2023, arXiv 2309.14322; Everett et al. 2024, arXiv 2407.05872
    """
    settings = settings or LrSweepSettings()
    lost = ~np.isfinite(table.loss) | (table.loss > table.loss_at_init)
    diverged = table.diverged | (table.finished & lost)
    has_axes = _is_positive(table.scale) & _is_positive(table.peak_lr)
    over = table.finished | diverged
    taken = has_axes & over
    scales = [
        _analyse_scale(table, places, diverged, settings, _spawn_seed(settings.seed, number))
        for number, places in enumerate(_split(table, taken))
    ]
    variants = tuple(
        _analyse_variant(name, [item for item in scales if item.variant == name], settings)
        for name in sorted({item.variant for item in scales})
    )
    return LrSweepResult(
        scales=tuple(scales),
        variants=variants,
        refusal=_refuse_small(scales),
        exclusions=_list_exclusions(table, has_axes, over, diverged),
        n_runs=len(table.run_ids),
        n_used=int(np.sum(taken & ~diverged)),
        digest=table.digest(),
        settings=settings,
    )


def _analyse_scale(
    table: LrSweepTable,
    places: IntArray,
    diverged: BoolArray,
    settings: LrSweepSettings,
    seed: int,
) -> LrScale:
    lr, lost = table.peak_lr[places], diverged[places]
    initial = table.loss_at_init[places]
    points = gather_points(lr, table.loss[places], lost)
    crashed = lost & ~table.finished[places]
    loss = np.where(crashed, np.nan, table.loss[places])
    known = initial[np.isfinite(initial)]
    return LrScale(
        variant=table.variant[places[0]],
        scale=float(table.scale[places[0]]),
        run_ids=tuple(sorted(table.run_ids[place] for place in places[~lost])),
        n_runs=places.size,
        n_diverged=int(lost.sum()),
        points=points,
        loss_at_init=float(np.median(known)) if known.size else np.nan,
        optimum=find_optimum(points, settings.neighbours, settings.replicas, seed),
        sensitivity=measure_sensitivity(lr, loss, initial, settings.replicas, seed),
        stable=_find_stable(lr, lost, points, settings.stable_excess),
    )


def _find_stable(
    lr: FloatArray, lost: BoolArray, points: LrPoints, max_excess: float
) -> StableLr | Refusal:
    tried = unify_lr(lr)
    levels = np.unique(tried)
    healthy = np.array([not lost[tried == level].any() for level in levels], dtype=np.bool_)
    loss = np.full(levels.size, np.nan)
    loss[np.isin(levels, points.lr)] = points.loss
    return find_stable_lr(levels, loss, healthy, max_excess)


def _analyse_variant(name: str, scales: list[LrScale], settings: LrSweepSettings) -> LrVariant:
    found = [item for item in scales if isinstance(item.optimum, LrOptimum)]
    optima = [item.optimum for item in found if isinstance(item.optimum, LrOptimum)]
    sizes = [item.scale for item in found]
    measured = [item for item in scales if isinstance(item.sensitivity, LrSensitivity)]
    series = [item.sensitivity for item in measured if isinstance(item.sensitivity, LrSensitivity)]
    return LrVariant(
        name,
        fit_exponent(sizes, optima, settings.seed, settings.x_max_factor),
        fit_series(np.array([item.scale for item in measured]), series),
    )


def _split(table: LrSweepTable, taken: BoolArray) -> Iterable[IntArray]:
    """Yield the places of the runs of each variant and scale, ordered by run id."""
    keys = sorted(
        (table.variant[place], float(table.scale[place]), table.run_ids[place], int(place))
        for place in np.flatnonzero(taken)
    )
    groups: dict[tuple[str, float], list[int]] = {}
    for variant, scale, _, place in keys:
        groups.setdefault((variant, scale), []).append(place)
    for places in groups.values():
        yield np.array(places, dtype=np.int64)


def _refuse_small(scales: list[LrScale]) -> Refusal | None:
    by_size: dict[float, int] = {}
    for item in scales:
        by_size[item.scale] = max(by_size.get(item.scale, 0), item.points.lr.size)
    counts = sorted(by_size.values(), reverse=True)
    if len(counts) >= MIN_SIZES and counts[MIN_SIZES - 1] >= MIN_LRS:
        return None
    return Refusal(
        "too_few_points",
        f"needs >= {MIN_LRS} LRs at >= {MIN_SIZES} sizes; have {_describe_counts(counts)}",
        "train more learning rates at more sizes",
    )


def _describe_counts(counts: list[int]) -> str:
    sizes = "1 size" if len(counts) == 1 else f"{len(counts)} sizes"
    if not counts:
        return "no finished run"
    if len(set(counts)) == 1:
        return f"{sizes} x {counts[0]} {'LR' if counts[0] == 1 else 'LRs'}"
    return f"{sizes} with {', '.join(str(count) for count in counts[:6])} LRs"


def _list_exclusions(
    table: LrSweepTable, has_axes: BoolArray, over: BoolArray, diverged: BoolArray
) -> tuple[Exclusion, ...]:
    rules = (
        ("no_axes", "no positive scale or learning rate", ~has_axes),
        ("unfinished", "not finished: takes no part", has_axes & ~over),
        (
            "diverged",
            "diverged (marked so, non-finite, or above the initial loss): left out of the "
            "parabolas, capped at the initial loss in the sensitivity",
            has_axes & diverged,
        ),
    )
    found = []
    for rule, sentence, where in rules:
        ids = tuple(sorted(table.run_ids[place] for place in np.flatnonzero(where)))
        if ids:
            found.append(Exclusion(rule, sentence, len(ids), ids))
    return tuple(found)


def _is_positive(values: FloatArray) -> BoolArray:
    positive: BoolArray = np.isfinite(values) & (values > 0)
    return positive


def _spawn_seed(seed: int, place: int) -> int:
    return int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
