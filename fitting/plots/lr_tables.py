"""The figures of a learning-rate sweep in words and numbers: captions, tables, laws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fitting.plots.lr_optimum import describe_law
from fitting.plots.lr_panels import MIN_LRS, MOST_PANELS, list_sweeps
from fitting.results import OptimumDoc, as_refusal, list_laws, list_scales, read_ends, select_keys
from fitting.sizes import group_sizes
from fitting.texts import format_interval
from fitting.variants import MANY

if TYPE_CHECKING:
    from fitting.queries import StudyView

Table = dict[str, object]
ESTIMATORS = {
    "last": "last value",
    "tail_mean": "mean of the tail",
    "tail_median": "median of the tail",
    "ema": "debiased moving average",
    "best": "lowest value",
}


def caption_lr_loss(view: StudyView) -> str:
    """Say what is drawn, how the final loss is read and what the marks mean."""
    rows = [row for row in view.rows.included if row.has_axes]
    sizes, lrs = set(group_sizes(row.n for row in rows).values()), {row.lr for row in rows}
    variants = {row.variant for row in rows}
    what = f"{_count(len(sizes), 'size')}, {_count(len(lrs), 'learning rate')}"
    if len(variants) > MANY:
        what += f", {len(variants)} variants (dash), a few drawn at a time"
    elif len(variants) > 1:
        what += f", {len(variants)} variants (dash)"
    loss = f"{view.rows.logged_loss or 'loss'}, {ESTIMATORS[view.study.estimator]}"
    return (
        f"{what}. Final loss: {loss}. Lines join means over seeds, bars span their losses: a "
        "difference within a bar is noise. Ring: fitted best learning rate with its 95 % "
        "interval. Red triangle: diverged, at the lower of its loss and the initial loss. "
        f"Hollow: not finished, not in the fit.{_warn(view)}"
    )


def caption_lr_panels(view: StudyView) -> str:
    """Say what a panel is, and which variants have one."""
    n_swept = len(list_sweeps(view.rows.included))
    which = f"the {MOST_PANELS} of most runs" if n_swept > MOST_PANELS else "each"
    return (
        f"{_count(n_swept, 'variant')} with at least {MIN_LRS} learning rates at one size, {which} "
        "in a panel; all panels share both axes and zoom together. Colour is the size, ring and "
        "whisker the fitted best learning rate with its 95 % interval. A valley that stays at one "
        "learning rate while the size grows is what a parametrization is chosen for."
    )


def caption_lr_sensitivity(view: StudyView) -> str:
    """Say what sensitivity is and which values may be compared."""
    return (
        "Mean excess loss over the learning rates of the grid, each run capped at its initial "
        "loss (Wortsman et al. 2023, section 2.2). Filled: all 7 rates of the standard grid "
        "3e-4 … 3e-1; grey with its coverage: some of them; dotted: another grid, labelled "
        "where it changes, trapezoid over log lr. Only values over the same grid are joined."
    )


def caption_lr_optimum(view: StudyView) -> str:
    """Say what the points, the law and its dashed part are."""
    laws = list_laws(view.result).values()
    refused = [refusal["sentence"] for refusal in map(as_refusal, laws) if refusal]
    because = f" No law: {refused[0]}." if refused and len(refused) == len(laws) else ""
    return (
        "Vertex of a parabola in log learning rate through the best point and up to two "
        "neighbours on each side; bars: 95 % interval. Dashed: extrapolated to ten times the "
        "largest size. Half-filled: at the edge of its grid, interval one-sided, not in the "
        f"law.{because}"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _warn(view: StudyView) -> str:
    return "".join(f" {warning}" for warning in view.rows.warnings)


def tabulate_runs(view: StudyView) -> Table:
    """Return every run of the study, excluded ones with their reason."""
    columns = ["Run", "Variant", "N", "LR", "Seed", "Final loss", "State", "Remark"]
    rows = [
        [
            row.name,
            row.variant,
            _finite(row.n),
            _finite(row.lr),
            _finite(row.seed),
            _finite(row.loss),
            row.state,
            row.remark,
        ]
        for row in sorted(view.rows.rows, key=lambda r: (r.variant, _order(r.n), _order(r.lr)))
    ]
    return {"columns": columns, "rows": rows}


def tabulate_optima(view: StudyView) -> Table:
    """Return the best learning rate of each variant and size."""
    columns = ["Variant", "N", "LR*", "95 % low", "95 % high", "Loss at LR*", "Remark"]
    rows = []
    for scale in list_scales(view.result):
        optimum = scale["optimum"]
        head = [scale["variant"], scale["scale"]]
        refusal = as_refusal(optimum)
        if refusal:
            rows.append([*head, None, None, None, None, refusal["sentence"]])
            continue
        ends = [_finite(end) for end in read_ends(optimum["interval"])]
        remark = optimum["sentence"] if optimum["censored"] else optimum["reason"]
        rows.append([*head, optimum["lr"], *ends, optimum["loss"], remark])
    return {"columns": columns, "rows": rows}


def tabulate_sensitivity(view: StudyView) -> Table:
    """Return the sensitivity of each variant and size, split at the optimum."""
    columns = [
        "Variant",
        "N",
        "Sensitivity",
        "Left",
        "Right",
        "95 %",
        "Grid",
        "Missing LR",
        "Seeds",
    ]
    rows = []
    for scale in list_scales(view.result):
        found = scale["sensitivity"]
        head = [scale["variant"], scale["scale"]]
        refusal = as_refusal(found)
        if refusal:
            rows.append([*head, None, None, None, "", refusal["sentence"], "", None])
            continue
        numbers = [found["value"], found["left"], found["right"]]
        interval = format_interval(found["interval"])
        grid = f"{found['coverage']} {found['grid']}"
        missing = ", ".join(f"{lr:.3g}" for lr in found["missing"])
        rows.append([*head, *numbers, interval, grid, missing, found["n_seeds"]])
    return {"columns": columns, "rows": rows}


def describe_optima(view: StudyView) -> dict[str, object]:
    """Return what is fitted per size, with the number of runs behind it."""
    result = view.result
    form = "quadratic in log lr through the best point and up to two neighbours on each side"
    if result is None:
        return {"form": form, "n": 0, "optima": []}
    optima = [
        {"variant": scale["variant"], "n": scale["scale"], **_brief(scale["optimum"])}
        for scale in result["scales"]
    ]
    return {"form": form, "n": result["n_used"], "digest": result["digest"], "optima": optima}


def _brief(optimum: OptimumDoc) -> dict[str, object]:
    refusal = as_refusal(optimum)
    if refusal:
        return {"refusal": refusal}
    return select_keys(optimum, ("lr", "interval", "censored", "loss", "reason"))


def describe_laws(view: StudyView) -> dict[str, object]:
    """Return the power law of each variant, or why it has none."""
    kept = ("exponent", "interval", "log_intercept", "n_scales", "n_censored", "reason")
    found: list[dict[str, object]] = []
    for variant, law in list_laws(view.result).items():
        refusal = as_refusal(law)
        if refusal:
            found.append({"variant": variant, "refusal": refusal})
            continue
        text = describe_law(law).replace("<sup>", "^").replace("</sup>", "")
        found.append({"variant": variant, "text": text, **select_keys(law, kept)})
    return {"form": "LR* = k N^x", "variants": found}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _order(value: float) -> float:
    return math.inf if math.isnan(value) else value
