"""Everything the compute-optimal pages of a study show, from one table of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.approaches import Frontier, trace_frontiers
from fitting.maths.budgets import Cell, ComputeTable, gather_cells
from fitting.maths.engine import fit_law
from fitting.maths.flops_per_token import FlopsPerToken, measure_flops_per_token
from fitting.maths.ladders import Ladder, LadderPair, compare_all, make_ladders
from fitting.maths.multiplier_lines import MultiplierLine, draw_multipliers
from fitting.maths.predict import evaluate_point
from fitting.maths.profiles import Profile, draw_profiles
from fitting.maths.records import BoolArray, Exclusion, FloatArray, IntArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.surfaces import Surface, draw_surface
from fitting.maths.types import Fit, Rows, Settings

PARAMETRIC, SECOND, ISOFLOP, ENVELOPE, OVERTRAINING = (
    "chinchilla_parametric",
    "chinchilla_vpnls",
    "isoflop",
    "chinchilla_envelope",
    "overtraining",
)
LADDERS = "ladders"
PARTS = (ISOFLOP, ENVELOPE, PARAMETRIC, OVERTRAINING, LADDERS)  # each may be left out
N_BUDGETS = 48
MAX_ENVELOPE_REPLICAS = 1000
REPLICA_SAMPLE = 400  # kept with the fit: 40 kB
NO_CURVES = Refusal(
    "pending", "the envelope reads every loss curve and comes with the deep fit", "wait a moment"
)

SWITCHED_OFF = Refusal("switched_off", "switched off for this study", "switch it on")


@dataclass(frozen=True)
class LossCurve(Record):
    """The loss of one run against the compute it had spent.

    Parameters
    ----------
    run_id : the run
    flops, loss : ndarray, shape (k,), finite; FLOPs ascending and positive
    horizon_flops : FLOPs at which its learning-rate schedule ends
    """

    run_id: str
    flops: FloatArray
    loss: FloatArray
    horizon_flops: float


@dataclass(frozen=True)
class ComputeSettings(Record):
    """How the compute-optimal analysis is done.

    Parameters
    ----------
    replicas : number of replicas of every interval
    seed : seed of every random step
    delta : Huber threshold of approach 3, on log residuals
    x_max_factor : frontiers are drawn to this multiple of the largest budget
    off : of PARTS, those that are not computed; a Refusal stands in their place
    """

    replicas: int = 1000
    seed: int = 0
    delta: float = 1e-3
    x_max_factor: float = 10.0
    off: tuple[str, ...] = ()

    def fit(self, part: str, compute: Callable[[], Fit | Refusal]) -> Fit | Refusal:
        """Return what a part computes, or that it is switched off."""
        return SWITCHED_OFF if part in self.off else compute()


@dataclass(frozen=True)
class Overtraining(Record):
    """The over-training law of one variant.

    Parameters
    ----------
    fit : or why there is none
    predicted : ndarray, shape (n_cells,), the fitted loss of each cell; empty without a fit
    lines : loss against compute at a few token multipliers
    """

    fit: Fit | Refusal
    predicted: FloatArray
    lines: tuple[MultiplierLine, ...]


@dataclass(frozen=True)
class ComputeVariant(Record):
    """What the runs of one variant say.

    Parameters
    ----------
    cells : one point per size and budget
    flops_per_token : what a token costs at each size; None without a cell
    profiles : the isoFLOP profile of each budget
    isoflop, parametric, second_opinion, envelope : approaches 2, 3, VPNLS and 1
    frontiers : N*, D* and loss of each approach over a range of budgets
    surface : approach 3 over compute and size; None where it was refused
    replica_sample : parameters of some replicas of approach 3, for intervals of predictions
    overtraining : loss by compute and token multiplier
    warnings : sentences about the data behind all of them
    """

    variant: str
    cells: tuple[Cell, ...]
    flops_per_token: FlopsPerToken | None
    profiles: tuple[Profile, ...]
    isoflop: Fit | Refusal
    parametric: Fit | Refusal
    second_opinion: Fit | Refusal
    envelope: Fit | Refusal
    frontiers: tuple[Frontier, ...]
    surface: Surface | None
    replica_sample: Mapping[str, FloatArray]
    overtraining: Overtraining
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ComputeResult(Record):
    """The analysis with all that is needed to repeat it.

    Parameters
    ----------
    variants : what each variant says
    ladders : the best loss of each variant at each compute, with its law
    pairs : every two ladders against each other, in both orders
    """

    variants: tuple[ComputeVariant, ...]
    ladders: tuple[Ladder, ...]
    pairs: tuple[LadderPair, ...]
    refusal: Refusal | None
    exclusions: tuple[Exclusion, ...]
    n_runs: int
    n_used: int
    digest: str
    settings: ComputeSettings
    version: int = 1


def analyse_compute_optimal(
    table: ComputeTable,
    settings: ComputeSettings | None = None,
    curves: Mapping[str, LossCurve] | None = None,
    guests: Mapping[str, ComputeTable] | None = None,
) -> ComputeResult:
    """Fit approaches 1, 2 and 3 and draw their frontiers, for each variant.

    Parameters
    ----------
    table : one row per run
    settings : None = the defaults
    curves : loss curve of each run, for approach 1; None leaves approach 1 out
    guests : name -> runs of another study, whose ladders are compared with those of this one

    Notes
    -----
    Diverged and unfinished runs take no part. All fits see the same cells: the best learning rate
    of each size at each budget.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3
    """
    settings = settings or ComputeSettings()
    diverged, has_axes = table.is_lost, table.has_axes
    taken = has_axes & table.finished & ~diverged
    names = sorted({table.variant[place] for place in np.flatnonzero(taken)})
    variants = tuple(
        _analyse_variant(name, table.take(_find(table, taken, name)), settings, curves)
        for name in names
    )
    cells = {item.variant: item.cells for item in variants}
    for name, guest in (guests or {}).items():
        cells |= _gather_guest(name, guest)
    has_ladders = LADDERS not in settings.off
    ladders = make_ladders(cells, settings.replicas, settings.seed) if has_ladders else ()
    return ComputeResult(
        variants=variants,
        ladders=ladders,
        pairs=compare_all(ladders),
        refusal=None if variants else _refuse_all(table, has_axes),
        exclusions=tuple(_list_exclusions(table, has_axes, diverged)),
        n_runs=len(table.run_ids),
        n_used=int(taken.sum()),
        digest=table.digest(),
        settings=settings,
    )


def _gather_guest(name: str, table: ComputeTable) -> dict[str, tuple[Cell, ...]]:
    """Return the cells of each variant of another study, under names of their own."""
    taken = table.has_axes & table.finished & ~table.is_lost
    labels = sorted({table.variant[place] for place in np.flatnonzero(taken)})
    return {
        f"{name}: {label}" if label else name: gather_cells(table.take(_find(table, taken, label)))
        for label in labels
    }


def _find(table: ComputeTable, taken: BoolArray, variant: str) -> IntArray:
    mine = [place for place in np.flatnonzero(taken) if table.variant[place] == variant]
    places: IntArray = np.array(sorted(mine, key=lambda i: table.run_ids[i]), dtype=np.int64)
    return places


def _analyse_variant(
    name: str,
    runs: ComputeTable,
    settings: ComputeSettings,
    curves: Mapping[str, LossCurve] | None,
) -> ComputeVariant:
    cells = gather_cells(runs)
    rows = make_rows(cells)
    cost = measure_flops_per_token(
        rows.columns["n_params"], rows.columns["n_tokens"], rows.columns["flops"]
    )
    plain = Settings(replicas=settings.replicas, seed=settings.seed)
    surface = Rows(
        {role: rows.columns[role] for role in ("n_params", "n_tokens")}, rows.target, rows.ids
    )
    huber = plain.with_options(delta=settings.delta)
    parametric = settings.fit(PARAMETRIC, lambda: fit_law(get_law(PARAMETRIC), surface, huber))
    second = settings.fit(PARAMETRIC, lambda: fit_law(get_law(SECOND), surface, plain))
    isoflop = settings.fit(ISOFLOP, lambda: fit_law(get_law(ISOFLOP), rows, plain))
    envelope = settings.fit(ENVELOPE, lambda: _fit_curves(runs, curves, plain))
    fits = {ISOFLOP: isoflop, PARAMETRIC: parametric, SECOND: second, ENVELOPE: envelope}
    fitted = (float(rows.columns["flops"].min()), float(rows.columns["flops"].max()))
    grid = np.geomspace(fitted[0], settings.x_max_factor * fitted[1], N_BUDGETS)
    return ComputeVariant(
        variant=name,
        cells=cells,
        flops_per_token=cost,
        profiles=()
        if ISOFLOP in settings.off
        else draw_profiles(rows, settings.replicas, settings.seed),
        isoflop=isoflop,
        parametric=parametric,
        second_opinion=second,
        envelope=envelope,
        frontiers=trace_frontiers(fits, fitted, grid, cost=cost).frontiers,
        surface=draw_surface(parametric, cost, rows) if isinstance(parametric, Fit) else None,
        replica_sample=_sample_replicas(parametric),
        overtraining=Overtraining(SWITCHED_OFF, np.empty(0), ())
        if OVERTRAINING in settings.off
        else fit_overtraining(surface, plain),
        warnings=tuple(_warn_cells(cells)),
    )


def _fit_curves(
    runs: ComputeTable, curves: Mapping[str, LossCurve] | None, settings: Settings
) -> Fit | Refusal:
    if curves is None:
        return NO_CURVES
    quick = replace(settings, replicas=min(settings.replicas, MAX_ENVELOPE_REPLICAS))
    return fit_envelope(runs, curves, quick)


def _sample_replicas(fit: Fit | Refusal) -> dict[str, FloatArray]:
    """Return at most REPLICA_SAMPLE replicas, evenly spaced, without those that failed."""
    if isinstance(fit, Refusal) or not fit.replica_params:
        return {}
    values = np.stack(list(fit.replica_params.values()))
    usable = values[:, np.all(np.isfinite(values), axis=0)]
    step = max(1, usable.shape[1] // REPLICA_SAMPLE)
    return dict(zip(fit.replica_params, usable[:, ::step][:, :REPLICA_SAMPLE], strict=True))


def fit_overtraining(rows: Rows, settings: Settings) -> Overtraining:
    """Fit the over-training law and draw its lines.

    Parameters
    ----------
    rows : the cells, with n_params and n_tokens
    settings : replicas and seed

    References
    ----------
    Gadre et al. 2024, arXiv 2403.08540
    """
    fit = fit_law(get_law(OVERTRAINING), rows, settings)
    if isinstance(fit, Refusal):
        return Overtraining(fit, np.empty(0), ())
    return Overtraining(fit, evaluate_point(fit, rows.columns), draw_multipliers(fit, rows))


def make_rows(cells: Iterable[Cell]) -> Rows:
    """Return the cells as rows of the laws; FLOPs are the budget's, so that budgets are equal."""
    cells = list(cells)
    columns = {
        "n_params": np.array([cell.n_params for cell in cells]),
        "n_tokens": np.array([cell.n_tokens for cell in cells]),
        "flops": np.array([cell.budget for cell in cells]),
    }
    loss = np.array([cell.loss for cell in cells])
    ids = tuple(" ".join(cell.run_ids) for cell in cells)
    budgets = tuple(f"{cell.budget:.17g}" for cell in cells)
    return Rows(columns, loss, ids, budgets)


def fit_envelope(
    runs: ComputeTable, curves: Mapping[str, LossCurve], settings: Settings
) -> Fit | Refusal:
    """Fit approach 1 to the loss curves of the runs.

    Parameters
    ----------
    runs : finished runs of one variant
    curves : run id -> its loss curve; runs without one take no part
    """
    known = [(place, curves[uid]) for place, uid in enumerate(runs.run_ids) if uid in curves]
    if not known:
        return Refusal("too_few_points", "no run has a loss curve of two or more points", "")
    sizes = [np.full(curve.flops.size, runs.n_params[place]) for place, curve in known]
    horizons = [np.full(curve.flops.size, curve.horizon_flops) for _, curve in known]
    names = [name for _, curve in known for name in [curve.run_id] * curve.flops.size]
    rows = Rows(
        {
            "n_params": np.concatenate(sizes),
            "flops": np.concatenate([curve.flops for _, curve in known]),
            "horizon_flops": np.concatenate(horizons),
        },
        np.concatenate([curve.loss for _, curve in known]),
        tuple(f"{name} {number:06d}" for number, name in enumerate(names)),
        tuple(names),
        tuple(names),
    )
    return fit_law(get_law(ENVELOPE), rows, settings)


def _warn_cells(cells: tuple[Cell, ...]) -> Iterable[str]:
    edge = sum(bool(cell.edge) for cell in cells)
    single = sum(cell.n_lrs == 1 for cell in cells)
    if edge:
        yield (
            f"the best learning rate is the first or last one tried in {edge} of {len(cells)} "
            "cells: their loss may lie above the tuned one"
        )
    if single:
        yield f"one learning rate was tried in {single} of {len(cells)} cells"


def _refuse_all(table: ComputeTable, has_axes: BoolArray) -> Refusal:
    n = len(table.run_ids)
    without = int(np.sum(~has_axes))
    if n and without == n:
        return Refusal(
            "too_few_points",
            f"none of {n} runs has parameters, tokens and FLOPs",
            "log n_params and n_tokens (or flops), or map config keys to N, D and C",
        )
    return Refusal("too_few_points", f"none of {n} runs has finished well", "wait for the runs")


def _list_exclusions(
    table: ComputeTable, has_axes: BoolArray, diverged: BoolArray
) -> Iterable[Exclusion]:
    rules = (
        ("no_axes", "no positive parameters, tokens or FLOPs", ~has_axes),
        ("unfinished", "not finished: takes no part", has_axes & ~table.finished & ~diverged),
        (
            "diverged",
            "diverged (marked so, non-finite, or above the initial loss)",
            has_axes & diverged,
        ),
    )
    for rule, sentence, where in rules:
        ids = tuple(sorted(table.run_ids[place] for place in np.flatnonzero(where)))
        if ids:
            yield Exclusion(rule, sentence, len(ids), ids)
