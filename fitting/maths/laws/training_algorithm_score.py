"""Score of training algorithms over workloads (AlgoPerf performance profiles)."""

from __future__ import annotations

import numpy as np

from fitting.maths.types import (
    FloatArray,
    Law,
    LawInput,
    LawOption,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Settings,
)

MIN_SUBMISSIONS, MIN_WORKLOADS = 2, 3


def score_submissions(times: FloatArray, r_max: float = 4.0) -> FloatArray:
    """Return the score of each submission, ``mean_w max(0, (r_max - r) / (r_max - 1))``.

    Parameters
    ----------
    times : ndarray, shape (n_submissions, n_workloads), time to the target; infinite = a miss
    r_max : ratio to the fastest beyond which a workload counts nothing

    Returns
    -------
    ndarray, shape (n_submissions,), from 0 to 1

    References
    ----------
    mlcommons/algorithmic-efficiency@2c90454, docs/DOCUMENTATION.md and scoring/
    """
    reached = np.isfinite(times).any(axis=0)
    kept = times[:, reached]
    ratio = kept / kept.min(axis=0)
    scores: FloatArray = np.mean(np.maximum(0.0, (r_max - ratio) / (r_max - 1.0)), axis=1)
    return scores


def summarise_times(rows: Rows) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return submissions, workloads and times (S, W): median over studies of the best trial.

    Parameters
    ----------
    rows : submission, workload, study; target = time to the target, not finite = a miss

    Returns
    -------
    labels of submissions (S,) and workloads (W,), and times (S, W)

    References
    ----------
    mlcommons/algorithmic-efficiency@2c90454, docs/DOCUMENTATION.md and scoring/
    """
    columns = rows.columns
    submissions, workloads = np.unique(columns["submission"]), np.unique(columns["workload"])
    study = columns.get("study", np.zeros(rows.n))
    times = np.full((submissions.size, workloads.size), np.inf)
    for s, submission in enumerate(submissions):
        for w, workload in enumerate(workloads):
            here = (columns["submission"] == submission) & (columns["workload"] == workload)
            best = [
                float(
                    np.where(np.isnan(rows.target), np.inf, rows.target)[here & (study == k)].min()
                )
                for k in np.unique(study[here])
            ]
            times[s, w] = np.median(best) if best else np.inf
    return submissions, workloads, times


def score_without_each(times: FloatArray, r_max: float = 4.0) -> FloatArray:
    """Return the scores with each submission left out in turn, NaN on the diagonal.

    Parameters
    ----------
    times : ndarray, shape (n_submissions, n_workloads)
    r_max : as for `score_submissions`

    Returns
    -------
    ndarray, shape (n_submissions, n_submissions), row = who is left out

    References
    ----------
    mlcommons/algorithmic-efficiency@2c90454, docs/DOCUMENTATION.md and scoring/
    """
    n = times.shape[0]
    table = np.full((n, n), np.nan)
    for left_out in range(n):
        others = [place for place in range(n) if place != left_out]
        table[left_out, others] = score_submissions(times[others], r_max)
    return table


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse a single submission and fewer than three workloads that anyone reaches."""
    submissions, _, times = summarise_times(rows)
    n_reached = int(np.isfinite(times).any(axis=0).sum())
    if submissions.size < MIN_SUBMISSIONS or n_reached < MIN_WORKLOADS:
        return Refusal(
            "too_few_groups",
            f"{submissions.size} submissions on {n_reached} workloads with a time to the target; "
            f"a score needs {MIN_SUBMISSIONS} on {MIN_WORKLOADS}",
            "more workloads",
        )
    return None


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Score every submission; list the set, for the score depends on it."""
    submissions, _, times = summarise_times(rows)
    scores = score_submissions(times, float(str(options["r_max"])))
    dropped = int(np.sum(~np.isfinite(times).any(axis=0)))
    without = score_without_each(times) if submissions.size > MIN_SUBMISSIONS else None
    table = tuple(
        {
            "submission": float(name),
            "score": float(score),
            "without_each": None if without is None else without[:, place].tolist(),
        }
        for place, (name, score) in enumerate(zip(submissions, scores, strict=True))
    )
    params = {f"score[{name:g}]": float(s) for name, s in zip(submissions, scores, strict=True)}
    warnings = (f"{dropped} workloads that nobody reached were dropped",) if dropped else ()
    return Point(params, table=table, warnings=warnings)


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample studies within each submission and workload."""
    if "study" not in rows.columns:
        return {}
    rng = np.random.default_rng(settings.seed)
    options = LAW.read_options(settings.options)
    columns = rows.columns
    cells = np.stack([columns["submission"], columns["workload"], columns["study"]], axis=1)
    times = np.where(np.isnan(rows.target), np.inf, rows.target)
    keys, place = np.unique(cells, axis=0, return_inverse=True)
    best = np.full(keys.shape[0], np.inf)
    np.minimum.at(best, place.reshape(-1), times)
    names, works = np.unique(keys[:, 0]), np.unique(keys[:, 1])
    draws = np.empty((settings.replicas, names.size, works.size))
    for s, name in enumerate(names):
        for w, work in enumerate(works):
            cell = best[(keys[:, 0] == name) & (keys[:, 1] == work)]
            cell = cell if cell.size else np.array([np.inf])
            picked = cell[rng.integers(cell.size, size=(settings.replicas, cell.size))]
            draws[:, s, w] = np.median(picked, axis=1)
    scores = np.stack([score_submissions(draw, float(str(options["r_max"]))) for draw in draws])
    return {f"score[{name:g}]": scores[:, s] for s, name in enumerate(names)}


LAW = Law(
    slug="training_algorithm_score",
    title="Score of training algorithms",
    formula="score = mean_w max(0, (4 - r)/3), r = time / fastest time",
    tex=r"\frac{1}{r_{\max} - 1} \int_1^{r_{\max}} \rho_s(\tau)\, d\tau",
    inputs=(
        LawInput("submission", "s", "number of the submission", positive=False),
        LawInput("workload", "w", "number of the workload", positive=False),
        LawInput("study", "", "number of the repeated study", positive=False, optional=True),
    ),
    target=LawInput("time_to_target", "t", "hours, steps or tokens; NaN or infinite = missed"),
    params=(),
    structure=Procedure(run, "rows", replicate),
    objective=Objective("none", "linear"),
    source="mlcommons/algorithmic-efficiency@2c90454 docs/DOCUMENTATION.md, scoring/",
    procedure="Median over studies of the best trial; closed form of the performance profile; "
    "studies are resampled within submission and workload.",
    pitfalls=(
        "The score depends on the set of submissions: the leave-one-out table shows how.",
        "Times must come from one kind of hardware.",
    ),
    options=(
        LawOption(
            "r_max", 4.0, "ratio beyond which a workload counts nothing", least=1.0, is_above=True
        ),
    ),
    refuse=refuse,
    keeps_non_finite=True,
)
