"""A stored learning-rate sweep as rows for table, legend and KPI: one reading for all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fitting.palette import SYMBOLS, place_sizes, size_tone
from fitting.rows import StudyRow
from fitting.sizes import group_sizes
from fitting.texts import (
    DASH,
    format_aligned,
    format_exponent,
    format_interval,
    format_loss,
    format_lr,
    format_number,
    is_refusal,
    polish,
)
from runs.models import RunState
from scaledash.lib.units import format_quantity

Document = dict[str, object]
Result = Mapping[str, object]
_Part = Mapping[str, Any]


@dataclass(frozen=True)
class OptimumRow:
    """What one size of one variant says; a number that could not be found is None."""

    variant: str
    n_params: float
    size_text: str
    n_runs: int
    n_diverged: int
    lr: float | None = None
    lr_text: str = ""
    interval: Mapping[str, object] | None = None
    interval_text: str = ""
    loss: float | None = None
    loss_text: str = ""
    is_censored: bool = False
    n_points: int = 0
    sensitivity: float | None = None
    sensitivity_text: str = ""
    sensitivity_interval_text: str = ""
    coverage: str = ""
    stable_lr: float | None = None
    stable_text: str = ""
    remark: str = ""


@dataclass(frozen=True)
class LawRow:
    """The power law of the best learning rate of one variant, or why there is none."""

    variant: str
    remark: str
    exponent: float | None = None
    exponent_text: str = ""
    interval: Mapping[str, object] | None = None
    interval_text: str = ""
    n_scales: int = 0
    n_censored: int = 0


def describe_optima(result: Result | None) -> list[OptimumRow]:
    """Return one row per variant and size."""
    scales = (result or {}).get("scales", [])
    return [_describe_scale(scale) for scale in scales]


def _describe_scale(scale: _Part) -> OptimumRow:
    row = OptimumRow(
        variant=scale["variant"],
        n_params=scale["scale"],
        size_text=format_quantity(scale["scale"]),
        n_runs=scale["n_runs"],
        n_diverged=scale["n_diverged"],
    )
    row = _add_optimum(row, scale["optimum"])
    return _add_stable(_add_sensitivity(row, scale["sensitivity"]), scale["stable"])


def _add_optimum(row: OptimumRow, optimum: _Part) -> OptimumRow:
    if is_refusal(optimum):
        return replace(row, remark=optimum["sentence"])
    return replace(
        row,
        lr=optimum["lr"],
        lr_text=format_lr(optimum["lr"]),
        interval=optimum["interval"],
        interval_text=format_interval(optimum["interval"]),
        loss=optimum["loss"],
        loss_text=format_loss(optimum["loss"]),
        is_censored=bool(optimum["censored"]),
        n_points=len(optimum["point_lr"]),
        remark=optimum["sentence"] if optimum["censored"] else optimum["reason"],
    )


def _add_sensitivity(row: OptimumRow, sensitivity: _Part) -> OptimumRow:
    if is_refusal(sensitivity) or row.n_diverged == row.n_runs:
        return row  # of runs that all diverged it says nothing, and not 0
    return replace(
        row,
        sensitivity=sensitivity["value"],
        sensitivity_text=format_aligned(sensitivity["value"], 2),
        sensitivity_interval_text=format_interval(sensitivity["interval"], format_number),
        coverage=sensitivity["coverage"],
    )


def _add_stable(row: OptimumRow, stable: _Part) -> OptimumRow:
    if is_refusal(stable):
        return row
    edge = "≥ " if stable["at_grid_edge"] else ""
    return replace(row, stable_lr=stable["lr"], stable_text=edge + format_lr(stable["lr"]))


def describe_laws(result: Result | None) -> list[LawRow]:
    """Return the power law of the best learning rate, one row per variant."""
    return [_describe_law(item) for item in (result or {}).get("variants", [])]


def _describe_law(item: _Part) -> LawRow:
    law, name = item["exponent"], item["variant"] or "all runs"
    if is_refusal(law):
        return LawRow(name, law["sentence"])
    return LawRow(
        variant=name,
        remark=law["reason"],
        exponent=law["exponent"],
        exponent_text=format_exponent(law["exponent"]),
        interval=law["interval"],
        interval_text=format_interval(law["interval"], format_exponent),
        n_scales=law["n_scales"],
        n_censored=law["n_censored"],
    )


def describe_variants(result: Result | None, names: Mapping[str, str]) -> list[Document]:
    """Return the variants with a text each that a narrow column holds: the values alone."""
    labels = [item["variant"] for item in (result or {}).get("variants", [])]
    return [{"variant": label, "text": _shorten(label, names)} for label in labels]


def _shorten(label: str, names: Mapping[str, str]) -> str:
    """Return the values of a variant's name; a bare number keeps its key beside others."""
    parts = names.get(label, label).split(", ")
    is_alone = label.count("=") == 1
    values = [part.rpartition("=")[2] for part in parts]
    texts = [v if is_alone or not is_number(v) else p for p, v in zip(parts, values, strict=True)]
    return ", ".join(texts) or "LR*"


def is_number(text: str) -> bool:
    """Say whether a text is nothing but a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def build_legend(
    optima: Sequence[OptimumRow], variants: Sequence[Document], sizes: Iterable[float]
) -> list[Document]:
    """Return one row per size with the best learning rate of each variant.

    `sizes` are all that a figure draws, those in progress too: they share one scale of colours.
    """
    size_of = group_sizes([*(row.n_params for row in optima), *sizes])
    shades = place_sizes(list(size_of.values()))
    texts = {(row.variant, size_of[row.n_params]): row.lr_text for row in optima}
    return [
        {
            "n_params": size,
            "size_text": format_quantity(size),
            "tone": json.dumps(size_tone(shade)),
            "shape": SYMBOLS[place % len(SYMBOLS)],
            "optima": [texts.get((variant["variant"], size), "") for variant in variants],
        }
        for place, (size, shade) in enumerate(sorted(shades.items()))
    ]


def summarise(
    result: Result | None,
    optima: Sequence[OptimumRow],
    laws: Sequence[LawRow],
    rows: Sequence[StudyRow],
    names: Mapping[str, str],
) -> list[Document]:
    """Return the four KPI: best LR, exponent, sensitivity, diverged runs.

    `names` are the short names of variants.
    """
    best = _choose_best(optima)
    return [
        _show_best(best, names),
        _show_exponent(laws, best, names),
        _show_sensitivity(optima, names),
        _show_divergence(rows),
    ]


def _choose_best(optima: Sequence[OptimumRow]) -> OptimumRow | None:
    """Choose the optimum of the largest size, of the variant with the lower loss there."""
    known = [row for row in optima if row.lr is not None]
    if not known:
        return None
    return max(known, key=lambda row: (row.n_params, -(row.loss or 0.0)))


def _show_best(best: OptimumRow | None, names: Mapping[str, str]) -> Document:
    kpi: Document = {"key": "best_lr", "label": "Best LR at the largest size"}
    if best is None:
        return {**kpi, "value": "", "interval": "", "basis": "no optimum found yet"}
    where = f"N = {best.size_text}"
    named = f"{where}, {names.get(best.variant, best.variant)}" if best.variant else where
    interval = best.interval_text and f"95 %: {best.interval_text}"
    points = f"{best.n_points} learning rates" if best.n_points else "at the grid's edge"
    return {
        **kpi,
        "value": best.lr_text,
        "interval": interval or "no interval",
        "basis": f"{named}; {points}",
    }


def _show_exponent(
    laws: Sequence[LawRow], best: OptimumRow | None, names: Mapping[str, str]
) -> Document:
    kpi: Document = {"key": "exponent", "label": "LR* exponent"}
    fitted = [law for law in laws if law.exponent is not None]
    if not fitted:
        remark = laws[0].remark if laws else "no fit yet"
        return {**kpi, "value": "", "interval": "", "basis": polish(remark)}
    law = next((law for law in fitted if best and law.variant == best.variant), fitted[0])
    named = f", {names.get(law.variant, law.variant)}" if len(laws) > 1 else ""
    return {
        **kpi,
        "value": law.exponent_text,
        "interval": (law.interval_text and f"95 %: {law.interval_text}") or polish(law.remark),
        "basis": f"LR* ∝ Nˣ, {law.n_scales} sizes{named}",
    }


def _show_sensitivity(optima: Sequence[OptimumRow], names: Mapping[str, str]) -> Document:
    kpi: Document = {"key": "sensitivity", "label": "LR sensitivity, nats"}
    known = sorted((row for row in optima if row.sensitivity is not None), key=_by_sensitivity)
    if not known:
        return {**kpi, "value": "", "interval": "", "basis": "needs ≥ 3 LRs and loss_at_init"}
    low, high = known[0], known[-1]
    is_one = low.sensitivity_text == high.sensitivity_text
    spread = f"{low.sensitivity_text} {DASH} {high.sensitivity_text}"
    named = f", {names.get(high.variant, high.variant)}" if high.variant else ""
    return {
        **kpi,
        "value": low.sensitivity_text if is_one else spread,
        "interval": f"highest at N = {high.size_text}{named}",
        "basis": f"{len(known)} of {len(optima)} ladders",
    }


def _by_sensitivity(row: OptimumRow) -> float:
    return row.sensitivity or 0.0


def _show_divergence(rows: Sequence[StudyRow]) -> Document:
    running = sum(row.state == RunState.RUNNING for row in rows)
    finished = sum(row.is_finished for row in rows)
    return {
        "key": "diverged",
        "label": "Diverged runs",
        "value": str(sum(row.diverged for row in rows)),
        "interval": f"of {len(rows)}",
        "basis": f"{running} running, {finished} finished",
    }
