"""The tabs of a study's page: one entry each, with what it shows beside what all of them share.

A new tab is one entry of TABS and the template `fitting/_tab_<key>.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fitting.absent import drop_absent_figures, drop_absent_tabs
from fitting.batch_figures import build_batch
from fitting.comparison import build_comparison, summarise_comparison
from fitting.comparison_figures import COMPARISON_FIGURES
from fitting.compute_page import describe_overtraining
from fitting.critical_figures import CRITICAL_FIGURES, build_critical, summarise_critical
from fitting.diagnoses.tab import build_instabilities
from fitting.forecast_page import build_forecasts
from fitting.plots.allocation import PANES, PAPERS
from fitting.plots.surface import RESIDUAL
from fitting.queries import (
    COMPUTE_OPTIMAL,
    CRITICAL_BATCH,
    ENVELOPE,
    INSTABILITY,
    ISOFLOP,
    LADDERS,
    LR_BATCH,
    LR_SCHEDULE,
    LR_SWEEP,
    OVERTRAINING,
    PARAMETRIC,
    RL_SIGMOID,
    StudyView,
)
from fitting.results import as_refusal
from fitting.schedule_figures import SCHEDULE_FIGURES, build_schedules, summarise_schedules
from fitting.score_figures import SCORE_FIGURES, build_sigmoids, summarise_sigmoids

Document = dict[str, object]
Options = Mapping[str, str]
Exclusions = Mapping[str, Any] | None


@dataclass(frozen=True)
class Tab:
    """One tab: its label, its figures, the large one first, and what it adds to the document.

    `analysis` is the one whose fits it shows, "" where it shows those of several; `parts` are
    switched by themselves, and without its only part a tab has nothing to show.
    `build` fills the member `member`, or where that is empty several; `summarise` gives the row of
    numbers on top, and `result` the analysis whose exclusions stand in the rail. Without them
    those of the sweep do.
    """

    label: str
    analysis: str = ""
    figures: tuple[str, ...] = ()
    member: str = ""
    build: Callable[[StudyView, Options], Document] | None = None
    summarise: Callable[[StudyView, Options], list[Document]] | None = None
    result: Callable[[StudyView], Exclusions] = lambda view: view.result
    parts: tuple[str, ...] = ()

    def describe(self, view: StudyView, options: Options) -> Document:
        """Return what the tab adds to the document of the page."""
        if self.build is None:
            return {}
        built = self.build(view, options)
        return {self.member: built} if self.member else built


def _read_compute(view: StudyView) -> Exclusions:
    return view.compute


TABS: Mapping[str, Tab] = {
    "lr": Tab(
        "LR sweep",
        LR_SWEEP,
        ("lr_loss", "lr_optimum", "lr_sensitivity", "lr_panels", "lr_batch"),
        "batch",
        build_batch,
    ),
    "isoflop": Tab(
        "IsoFLOP",
        COMPUTE_OPTIMAL,
        ("isoflop", "optimal_params", "optimal_tokens", "tokens_per_param"),
        result=_read_compute,
        parts=(ISOFLOP,),
    ),
    "parametric": Tab(
        "Parametric",
        COMPUTE_OPTIMAL,
        ("surface", "residuals"),
        result=_read_compute,
        parts=(PARAMETRIC,),
    ),
    "frontier": Tab(
        "Frontier",
        COMPUTE_OPTIMAL,
        ("frontier", "envelope", "overtraining", "overtraining_residuals"),
        "overtraining",
        describe_overtraining,
        result=_read_compute,
        parts=(ENVELOPE, OVERTRAINING),
    ),
    "compare": Tab(
        "Variants",
        COMPUTE_OPTIMAL,
        tuple(COMPARISON_FIGURES),
        "comparison",
        build_comparison,
        summarise_comparison,
        parts=(LADDERS,),
    ),
    "schedule": Tab(
        "Schedules",
        LR_SCHEDULE,
        tuple(SCHEDULE_FIGURES),
        "schedule",
        build_schedules,
        summarise_schedules,
    ),
    "critical": Tab(
        "Critical batch",
        CRITICAL_BATCH,
        tuple(CRITICAL_FIGURES),
        "critical",
        build_critical,
        summarise_critical,
    ),
    "sigmoid": Tab(
        "RL sigmoid",
        RL_SIGMOID,
        tuple(SCORE_FIGURES),
        "sigmoids",
        lambda view, options: build_sigmoids(view),
        lambda view, options: summarise_sigmoids(view),
        lambda view: view.sigmoid,
    ),
    "instab": Tab(
        "Instabilities",
        INSTABILITY,
        ("attention_logits", "logit_forecast", "gradient_rms", "log_z"),
        "instabilities",
        lambda view, options: build_instabilities(view),
    ),
    "forecasts": Tab("Forecasts", build=build_forecasts),
    "runs": Tab("Runs"),
}
HISTORY = "history"  # of members: it names runs that have left the study, which no link shows
ANALYSIS_OF = {"lr_batch": LR_BATCH}  # figures of another analysis than their tab's
COMPUTE_TABS = ("isoflop", "parametric", "frontier")
FIRST = "lr"
TALL = {
    *(tab.figures[0] for tab in TABS.values() if tab.figures),
    "envelope",
    "overtraining",
    "lr_batch",
    "lr_panels",
}
# The options of the page's address that a figure follows.
OPTION_KEYS = {
    "lr_loss": ("ys",),
    "surface": ("color",),
    **dict.fromkeys(PANES, ("ref",)),
    "lr_batch": ("cell",),
    **dict.fromkeys(COMPARISON_FIGURES, ("reference",)),
    **dict.fromkeys(CRITICAL_FIGURES, ("model",)),
    **dict.fromkeys(SCHEDULE_FIGURES, ("family", "law")),
}

# Those of them that a figure has buttons for; the first choice is the default.
SWITCHES: dict[str, dict[str, object]] = {
    "ys": {
        "key": "ys",
        "label": "Loss axis",
        "choices": (("", "log"), ("lin", "linear"), ("excess", "excess"), ("relative", "%")),
    },
    "color": {
        "key": "color",
        "label": "Colour of the runs",
        "choices": (("", "runs"), (RESIDUAL, "residuals")),
    },
    "ref": {
        "key": "ref",
        "label": "Laws of papers",
        "choices": (("", "own"), (PAPERS, "+ papers")),
    },
}


def choose_tab(view: StudyView) -> str:
    """Return the tab that a study opens with: the sweep, unless another alone has a law."""
    laws = view.result["variants"] if view.result else []
    if any(not as_refusal(item["exponent"]) for item in laws):
        return FIRST
    variants = view.compute["variants"] if view.compute else []
    if any(not as_refusal(item["isoflop"]) for item in variants):
        return COMPUTE_TABS[0]
    scores = (view.sigmoid or {}).get("curves", [])
    if any(not as_refusal(curve["fit"]) for curve in scores):
        return "sigmoid"
    batches = (view.critical or {}).get("families", [])
    is_critical = any(not as_refusal(family["targets"][0]["fit"]) for family in batches)
    return "critical" if is_critical else FIRST


def list_tabs(view: StudyView, tab: str) -> list[str]:
    """Return the tabs that make sense: variants where there are two, schedules where any differ.

    A tab whose analysis is switched off stays where the analysis had something to show.
    """
    return drop_absent_tabs(view.last or view, TABS, tab)


def list_figures(view: StudyView, tab: str, variant: str = "") -> list[str]:
    """Return the figures of a tab that the study has something for; `variant` is the shown one."""
    if tab not in TABS:
        return []
    analysis = TABS[tab].analysis
    shown = drop_absent_figures(view, TABS[tab].figures, variant)
    if is_tab_off(view, tab) and TABS[tab].parts:
        return []
    return [name for name in shown if ANALYSIS_OF.get(name, analysis) not in view.off]


def list_analyses(view: StudyView, tab: str) -> list[str]:
    """Return the analyses behind a tab, those of single figures only where these are shown."""
    if tab not in TABS or not TABS[tab].analysis:
        return []
    shown = drop_absent_figures(view.last or view, TABS[tab].figures)
    more = [name for figure, name in ANALYSIS_OF.items() if figure in shown or name in view.off]
    return [TABS[tab].analysis, *TABS[tab].parts, *(more if tab == FIRST else ())]


def is_tab_off(view: StudyView, tab: str) -> bool:
    """Say whether what a tab shows is switched off."""
    if tab not in TABS:
        return False
    parts = TABS[tab].parts
    return TABS[tab].analysis in view.off or (len(parts) == 1 and parts[0] in view.off)


def find_analysis(tab: str, law: str = "") -> str:
    """Return the analysis whose versions a tab can show; `law` names that of one of its figures."""
    if tab in TABS and law in [ANALYSIS_OF.get(name) for name in TABS[tab].figures]:
        return law
    return TABS[tab].analysis or LR_SWEEP if tab in TABS else LR_SWEEP


def find_figure_analysis(name: str) -> str:
    """Return the analysis that a figure draws."""
    own = ANALYSIS_OF.get(name)
    return own or next((tab.analysis for tab in TABS.values() if name in tab.figures), LR_SWEEP)
