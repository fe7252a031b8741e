"""The figures of a learning-rate sweep (P1 to P3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from fitting.axes import AXIS_TITLES
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.lr_loss import draw_lr_loss
from fitting.plots.lr_optimum import draw_lr_optimum
from fitting.plots.lr_panels import draw_lr_panels
from fitting.plots.lr_sensitivity import draw_lr_sensitivity
from fitting.plots.lr_tables import (
    caption_lr_loss,
    caption_lr_optimum,
    caption_lr_panels,
    caption_lr_sensitivity,
    describe_laws,
    describe_optima,
    tabulate_optima,
    tabulate_runs,
    tabulate_sensitivity,
)
from fitting.queries import StudyView
from fitting.results import LrSweepDoc, RefusalDoc, ScaleDoc, VariantDoc, as_refusal
from fitting.rows import StudyRow
from fitting.variants import list_undrawn, name_variants, place_variants

T = TypeVar("T")
Part = TypeVar("Part", ScaleDoc, VariantDoc)
# The page's option `ys` -> how the loss becomes a height.
MODES = {"": "log", "log": "log", "lin": "linear", "excess": "excess", "relative": "relative"}


def find_refusal(part: str, view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    """Return why the study, or this figure of it, can say nothing; None where it can.

    `part` is the part of a scale whose refusals explain an empty figure.
    """
    result = view.result
    if result is None:
        return None
    if result["refusal"] or drawn["data"]:
        return result["refusal"]
    parts = [dict(scale)[part] for scale in result["scales"]]
    return next(filter(None, map(as_refusal, parts)), None)


def count_runs(view: StudyView) -> dict[str, int]:
    """Return how many runs there are, and in which state."""
    rows, included = view.rows.rows, view.rows.included
    with_axes = [row for row in included if row.has_axes]
    return {
        "n": len(rows),
        "drawn": 0,
        "diverged": sum(row.diverged for row in with_axes),
        "nonfinite": sum(row.has_nonfinite_loss for row in with_axes),
        "nonpositive": 0,
        "clipped": 0,
        "excluded": len(rows) - len(included),
        "held_out": 0,
        "undrawn": 0,
        "unfinished": sum(not row.takes_part for row in with_axes),
        "without_axes": len(included) - len(with_axes),
        "without_loss": sum(row.has_no_height for row in with_axes),
    }


def count_states(view: StudyView) -> dict[str, int]:
    """Return how many runs there are and how many take no part: for laws of whole curves."""
    rows, included = view.rows.rows, view.rows.included
    return {
        "n": len(rows),
        "drawn": 0,
        "clipped": 0,
        "excluded": len(rows) - len(included),
        "held_out": 0,
        "unfinished": sum(not row.is_finished for row in included),
    }


def name_scale(view: StudyView) -> str:
    """Return the title of the axis of sizes."""
    source = view.rows.sources["n"]
    return AXIS_TITLES.get(source, source)


@dataclass(frozen=True)
class Shown:
    """The rows and scales that are drawn, under short names, and the place of each name."""

    rows: list[StudyRow]
    result: LrSweepDoc | None
    places: Mapping[str, int]
    others: Sequence[float]  # sizes of runs that are not drawn
    counts: Mapping[str, int]


def choose_shown(view: StudyView, options: Options) -> Shown:
    """Return what is drawn, and how many runs are not."""
    return _choose(view, list_undrawn(view.rows.rows, options.get("variant", "")))


def _choose(view: StudyView, left: Collection[str]) -> Shown:
    """Return what is drawn without the variants in `left`."""
    rows, result = view.rows.rows, view.result
    names = name_variants(row.variant for row in rows)
    shown = [replace(r, variant=names[r.variant]) for r in rows if r.variant not in left]
    if result is not None:
        scales = [_rename(item, names) for item in result["scales"] if item["variant"] not in left]
        laws = [_rename(item, names) for item in result["variants"] if item["variant"] not in left]
        result = {**result, "scales": scales, "variants": laws}
    places = {names[label]: place for label, place in place_variants(rows).items()}
    others = [row.n for row in rows if row.variant in left and row.is_drawn]
    return Shown(shown, result, places, others, {"undrawn": len(rows) - len(shown)})


def _rename(item: Part, names: Mapping[str, str]) -> Part:
    return {**item, "variant": names.get(item["variant"], item["variant"])}


def _draw_loss(view: StudyView, options: Options) -> Figure:
    shown = choose_shown(view, options)
    mode = MODES.get(options.get("ys", ""), "log")
    return {
        **draw_lr_loss(shown.rows, shown.result, mode, shown.places, shown.others),
        **shown.counts,
    }


def _draw_panels(view: StudyView, options: Options) -> Figure:
    shown = _choose(view, ())
    return draw_lr_panels(shown.rows, shown.result, shown.places)


def _draw_optimum(view: StudyView, options: Options) -> Figure:
    shown = choose_shown(view, options)
    return draw_lr_optimum(shown.result, name_scale(view), shown.places)


def _draw_sensitivity(view: StudyView, options: Options) -> Figure:
    shown = choose_shown(view, options)
    return draw_lr_sensitivity(shown.result, name_scale(view), shown.places)


def _ignore_options(function: Callable[[StudyView], T]) -> Callable[[StudyView, Options], T]:
    return lambda view, options: function(view)


LR_FIGURES = {
    "lr_loss": Plot(
        "Final loss against learning rate",
        _draw_loss,
        _ignore_options(caption_lr_loss),
        _ignore_options(tabulate_runs),
        _ignore_options(describe_optima),
        count_runs,
        partial(find_refusal, "optimum"),
    ),
    "lr_panels": Plot(
        "Final loss against learning rate, variant by variant",
        _draw_panels,
        _ignore_options(caption_lr_panels),
        _ignore_options(tabulate_runs),
        _ignore_options(describe_optima),
        count_runs,
        partial(find_refusal, "optimum"),
    ),
    "lr_sensitivity": Plot(
        "Learning-rate sensitivity",
        _draw_sensitivity,
        _ignore_options(caption_lr_sensitivity),
        _ignore_options(tabulate_sensitivity),
        _ignore_options(describe_optima),
        count_runs,
        partial(find_refusal, "sensitivity"),
    ),
    "lr_optimum": Plot(
        "Best learning rate against size",
        _draw_optimum,
        _ignore_options(caption_lr_optimum),
        _ignore_options(tabulate_optima),
        _ignore_options(describe_laws),
        count_runs,
        partial(find_refusal, "optimum"),
    ),
}
