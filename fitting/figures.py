"""Figures of a study as plain plot dicts (P1 to P12): pure, from what queries.view_study read.

The dict is the whole contract with the page: data and layout for Plotly in the light colours,
each trace with `meta.tone` for the dark ones and `customdata[0]`, the uid of the run behind a
mark or ""; a table with the same numbers; counts that add up; the law; a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping

from fitting.batch_figures import BATCH_FIGURES
from fitting.comparison_figures import COMPARISON_FIGURES
from fitting.compute_figures import COMPUTE_FIGURES
from fitting.critical_figures import CRITICAL_FIGURES
from fitting.instability_figures import INSTABILITY_FIGURES
from fitting.lr_figures import LR_FIGURES
from fitting.queries import StudyView
from fitting.results import RefusalDoc
from fitting.schedule_figures import SCHEDULE_FIGURES
from fitting.score_figures import SCORE_FIGURES
from fitting.texts import polish

__all__ = ["FIGURES", "Figure", "build_figure"]
Figure = dict[str, object]
FIGURES = {
    **LR_FIGURES,
    **BATCH_FIGURES,
    **COMPUTE_FIGURES,
    **COMPARISON_FIGURES,
    **CRITICAL_FIGURES,
    **SCHEDULE_FIGURES,
    **SCORE_FIGURES,
    **INSTABILITY_FIGURES,
}


def build_figure(name: str, view: StudyView, options: Mapping[str, str], rev: str) -> Figure | None:
    """Return one figure of the study, or None where no figure has this name."""
    plot = FIGURES.get(name)
    if plot is None:
        return None
    drawn = plot.draw(view, options)
    refusal = plot.refuse(view, options, drawn)
    return {
        "plot": name,
        "rev": rev,
        "state": find_state(view, drawn, refusal),
        "as_of": view.progress.as_of,
        "title": plot.title,
        "caption": polish(plot.caption(view, options)),
        "data": drawn["data"],
        "layout": drawn["layout"],
        "table": plot.tabulate(view, options),
        "counts": {**plot.count(view), **_counts_of(drawn)},
        "law": plot.law(view, options),
        "refusal": refusal and polish_refusal(refusal),
    }


def polish_refusal(refusal: RefusalDoc) -> RefusalDoc:
    """Return a refusal with its sentences as a page writes them."""
    words = {key: polish(refusal[key]) for key in ("sentence", "cure")}
    return {"code": refusal["code"], "sentence": words["sentence"], "cure": words["cure"]}


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
