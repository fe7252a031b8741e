"""The figures of compute-optimal training (P5 to P8, P10)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fitting.compute_results import ENVELOPE, ISOFLOP, PARAMETRIC, ComputeVariantDoc, find_variant
from fitting.compute_results import find_refusal as find_refusal_of
from fitting.law_table import summarise_fit
from fitting.lr_figures import name_scale
from fitting.plots import compute_tables as tables
from fitting.plots.allocation import PANES, PAPERS, draw_allocation
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.frontier import draw_envelope, draw_frontier
from fitting.plots.isoflop import draw_isoflop
from fitting.plots.lr_tables import ESTIMATORS
from fitting.plots.overtraining import draw_overtraining, find_law, list_residuals
from fitting.plots.residuals import draw_residuals as draw_points
from fitting.plots.surface import RESIDUAL, describe_colours, draw_residuals, draw_surface
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal

T = TypeVar("T")


def find_shown(view: StudyView, options: Options) -> ComputeVariantDoc | None:
    """Return the variant that the options choose, else the one with the most cells."""
    return find_variant(view.compute, options.get("variant", ""))


def find_enveloped(view: StudyView, options: Options) -> ComputeVariantDoc | None:
    """Return the variant with its loss curves: of the newest deep fit."""
    return find_variant(view.envelope, options.get("variant", ""))


def count_compute(view: StudyView) -> dict[str, int]:
    """Return how many runs there are, and in which state."""
    rows, included = view.rows.rows, view.rows.included
    known = [row for row in included if row.has_compute]
    return {
        "n": len(rows),
        "drawn": 0,
        "diverged": sum(row.diverged for row in known),
        "nonfinite": sum(row.has_nonfinite_loss for row in known),
        "nonpositive": 0,
        "clipped": 0,
        "excluded": len(rows) - len(included),
        "held_out": 0,
        "unfinished": sum(not row.has_ended for row in known),
        "without_compute": len(included) - len(known),
    }


def refuse(slug: str, view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    """Return why the study has no such fit; None where it has."""
    if view.compute is None:
        return None
    if view.compute["refusal"]:
        return view.compute["refusal"]
    enveloped = find_enveloped(view, options) if slug == ENVELOPE else None
    return find_refusal_of(enveloped or find_shown(view, options), slug)


def refuse_pane(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    """Return why no approach splits a budget; None where one does: its line is drawn."""
    shown = find_shown(view, options)
    if shown is not None and shown["frontiers"]:
        return None
    return refuse(ISOFLOP, view, options, drawn)


def _of_variant(
    function: Callable[[ComputeVariantDoc | None], T],
) -> Callable[[StudyView, Options], T]:
    return lambda view, options: function(find_shown(view, options))


def _draw_isoflop(view: StudyView, options: Options) -> Figure:
    return draw_isoflop(find_shown(view, options), view.rows.rows, name_scale(view))


def _caption_isoflop(view: StudyView, options: Options) -> str:
    loss = f"{view.rows.logged_loss or 'loss'}, {ESTIMATORS[view.study.estimator]}"
    return tables.caption_isoflop(find_shown(view, options), loss)


def _draw_surface(view: StudyView, options: Options) -> Figure:
    return draw_surface(find_shown(view, options), name_scale(view), _has_residuals(options))


def _caption_surface(view: StudyView, options: Options) -> str:
    shown = find_shown(view, options)
    return tables.caption_surface(shown) + describe_colours(shown, _has_residuals(options))


def _has_residuals(options: Options) -> bool:
    return options.get("color") == RESIDUAL


def _draw_frontier(view: StudyView, options: Options) -> Figure:
    return draw_frontier(find_shown(view, options), view.rows.rows)


def _draw_envelope(view: StudyView, options: Options) -> Figure:
    curves = view.envelope["curves"] if view.envelope else []
    return draw_envelope(find_enveloped(view, options), curves)


def _caption_envelope(view: StudyView, options: Options) -> str:
    late = " Of the newest deep fit; newer data are being fitted." if view.is_envelope_old else ""
    return tables.caption_envelope(find_enveloped(view, options), late)


def _describe_envelope(view: StudyView, options: Options) -> Figure:
    return tables.describe_law(find_enveloped(view, options), ENVELOPE)


def _caption_allocation(view: StudyView, options: Options) -> str:
    named = "Grey: laws of papers, C = 6ND. " if options.get("ref") == PAPERS else ""
    return named + tables.caption_allocation(find_shown(view, options))


def _make_pane(name: str) -> Plot:
    def draw(view: StudyView, options: Options) -> Figure:
        return draw_allocation(find_shown(view, options), name, options.get("ref") == PAPERS)

    def tabulate(view: StudyView, options: Options) -> Figure:
        return tables.tabulate_frontiers(find_shown(view, options), PANES[name].quantity)

    return Plot(
        PANES[name].title,
        draw,
        _caption_allocation,
        tabulate,
        _of_variant(tables.describe_laws),
        count_compute,
        refuse_pane,
    )


def refuse_overtraining(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    """Return why the study has no over-training law; None where it has, or before the next fit."""
    if view.compute is None:
        return None
    shown = find_shown(view, options)
    law = shown.get("overtraining") if shown else None
    return view.compute["refusal"] or (as_refusal(law["fit"]) if law else None)


def _describe_overtraining(view: StudyView, options: Options) -> Figure:
    law = find_law(find_shown(view, options))
    return summarise_fit(law["fit"]) if law else {"refusal": refuse_overtraining(view, options, {})}


COMPUTE_FIGURES = {
    "isoflop": Plot(
        "Loss against size at equal compute",
        _draw_isoflop,
        _caption_isoflop,
        _of_variant(tables.tabulate_profiles),
        _of_variant(partial(tables.describe_law, slug=ISOFLOP)),
        count_compute,
        partial(refuse, ISOFLOP),
    ),
    **{name: _make_pane(name) for name in PANES},
    "surface": Plot(
        "Predicted loss over compute and size",
        _draw_surface,
        _caption_surface,
        _of_variant(tables.tabulate_cells),
        _of_variant(tables.describe_parametric),
        count_compute,
        partial(refuse, PARAMETRIC),
    ),
    "residuals": Plot(
        "Predicted against observed loss",
        lambda view, options: draw_residuals(find_shown(view, options)),
        _of_variant(tables.caption_residuals),
        _of_variant(tables.tabulate_cells),
        _of_variant(tables.describe_parametric),
        count_compute,
        partial(refuse, PARAMETRIC),
    ),
    "frontier": Plot(
        "Loss against compute",
        _draw_frontier,
        _of_variant(tables.caption_frontier),
        _of_variant(tables.tabulate_frontiers),
        _of_variant(tables.describe_laws),
        count_compute,
        partial(refuse, PARAMETRIC),
    ),
    "envelope": Plot(
        "Envelope of the loss curves",
        _draw_envelope,
        _caption_envelope,
        _of_variant(tables.tabulate_frontiers),
        _describe_envelope,
        count_compute,
        partial(refuse, ENVELOPE),
    ),
    "overtraining": Plot(
        "Loss at fixed tokens per parameter",
        lambda view, options: draw_overtraining(find_shown(view, options)),
        _of_variant(tables.caption_overtraining),
        _of_variant(tables.tabulate_overtraining),
        _describe_overtraining,
        count_compute,
        refuse_overtraining,
    ),
    "overtraining_residuals": Plot(
        "Over-training law against the runs",
        lambda view, options: draw_points(
            list_residuals(find_shown(view, options)), "overtraining_residuals"
        ),
        _of_variant(tables.caption_overtraining_error),
        _of_variant(tables.tabulate_overtraining),
        _describe_overtraining,
        count_compute,
        refuse_overtraining,
    ),
}
