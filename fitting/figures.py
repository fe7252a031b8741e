"""Figures of a study as plain plot dicts (P1 to P3): pure, from what queries.view_study read.

The dict is the whole contract with the page: data and layout for Plotly in the light colours,
each trace with `meta.tone` for the dark ones and `customdata[0]`, the uid of the run behind a
mark or ""; a table with the same numbers; counts that add up; the law; a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fitting.axes import AXIS_TITLES
from fitting.plots.lr_loss import draw_lr_loss
from fitting.plots.lr_optimum import draw_lr_optimum
from fitting.plots.lr_sensitivity import draw_lr_sensitivity
from fitting.plots.lr_tables import (
    caption_lr_loss,
    caption_lr_optimum,
    caption_lr_sensitivity,
    describe_laws,
    describe_optima,
    tabulate_optima,
    tabulate_runs,
    tabulate_sensitivity,
)
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal

Figure = dict[str, object]
# The page's option `ys` -> how the loss becomes a height.
MODES = {"": "log", "log": "log", "lin": "linear", "excess": "excess", "relative": "relative"}


@dataclass(frozen=True)
class Plot:
    """One figure: `draw` returns data, layout and counts; the rest says the same in words."""

    title: str
    draw: Callable[[StudyView, Mapping[str, str]], Figure]
    caption: Callable[[StudyView], str]
    tabulate: Callable[[StudyView], Figure]
    law: Callable[[StudyView], Figure]
    refused: str  # the part of a scale whose refusals explain an empty figure


def build_figure(name: str, view: StudyView, options: Mapping[str, str], rev: str) -> Figure | None:
    """Return one figure of the study, or None where no figure has this name."""
    plot = FIGURES.get(name)
    if plot is None:
        return None
    drawn = plot.draw(view, options)
    refusal = find_refusal(view, plot, drawn)
    return {
        "plot": name,
        "rev": rev,
        "state": find_state(view, drawn, refusal),
        "as_of": view.progress.as_of,
        "title": plot.title,
        "caption": plot.caption(view),
        "data": drawn["data"],
        "layout": drawn["layout"],
        "table": plot.tabulate(view),
        "counts": {**count_runs(view), **_counts_of(drawn)},
        "law": plot.law(view),
        "refusal": refusal,
    }


def _counts_of(drawn: Figure) -> Figure:
    return {key: value for key, value in drawn.items() if key not in ("data", "layout")}


def find_state(view: StudyView, drawn: Figure, refusal: RefusalDoc | None) -> str:
    """Return the state of the figure as its element shows it."""
    if not view.rows.rows:
        return "empty"
    if refusal is not None and not drawn["data"]:
        return "refused"
    if view.progress.state == "empty":
        return "stale"
    return view.progress.state


def find_refusal(view: StudyView, plot: Plot, drawn: Figure) -> RefusalDoc | None:
    """Return why the study, or this figure of it, can say nothing; None where it can."""
    result = view.result
    if result is None:
        return None
    if result["refusal"] or drawn["data"]:
        return result["refusal"]
    parts = [dict(scale)[plot.refused] for scale in result["scales"]]
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
        "unfinished": sum(not row.takes_part for row in with_axes),
        "without_axes": len(included) - len(with_axes),
        "without_loss": sum(row.has_no_height for row in with_axes),
    }


def _draw_loss(view: StudyView, options: Mapping[str, str]) -> Figure:
    return draw_lr_loss(view.rows.rows, view.result, MODES.get(options.get("ys", ""), "log"))


def _draw_optimum(view: StudyView, options: Mapping[str, str]) -> Figure:
    return draw_lr_optimum(view.result, name_scale(view))


def _draw_sensitivity(view: StudyView, options: Mapping[str, str]) -> Figure:
    return draw_lr_sensitivity(view.result, name_scale(view))


def name_scale(view: StudyView) -> str:
    """Return the title of the axis of sizes."""
    source = view.rows.sources["n"]
    return AXIS_TITLES.get(source, source)


FIGURES = {
    "lr_loss": Plot(
        "Final loss against learning rate",
        _draw_loss,
        caption_lr_loss,
        tabulate_runs,
        describe_optima,
        "optimum",
    ),
    "lr_sensitivity": Plot(
        "Learning-rate sensitivity",
        _draw_sensitivity,
        caption_lr_sensitivity,
        tabulate_sensitivity,
        describe_optima,
        "sensitivity",
    ),
    "lr_optimum": Plot(
        "Best learning rate against size",
        _draw_optimum,
        caption_lr_optimum,
        tabulate_optima,
        describe_laws,
        "optimum",
    ),
}
