"""The laws that a study does not support, each with what it misses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fitting.batch_figures import list_cells
from fitting.comparison import choose_pair
from fitting.compute_figures import COMPUTE_FIGURES
from fitting.compute_results import ENVELOPE, ISOFLOP, PARAMETRIC, find_refusal, find_variant
from fitting.critical_figures import find_refusal as find_critical_refusal
from fitting.critical_figures import list_families as list_critical
from fitting.instability_figures import NOT_LOGGED
from fitting.plots.lr_panels import list_sweeps
from fitting.plots.overtraining import find_law
from fitting.queries import (
    COMPUTE_OPTIMAL,
    CRITICAL_BATCH,
    INSTABILITY,
    LADDERS,
    LR_BATCH,
    LR_SCHEDULE,
    LR_SWEEP,
    RL_SIGMOID,
    TITLES,
    StudyView,
)
from fitting.results import RefusalDoc, as_refusal
from fitting.schedule_figures import find_refusal as find_schedule_refusal
from fitting.schedule_figures import list_families
from fitting.score_figures import find_refusal as find_score_refusal
from fitting.score_figures import list_curves
from fitting.switches import write_switched_off

SILENT = ("pending", "switched_off")  # comes with the deep fit; said by the switch itself
LOGGED = {"gradient_rms": "Gradient RMS against size", "log_z": "log Z against step"}
APPROACHES = {ISOFLOP: "IsoFLOP", PARAMETRIC: "Parametric L(N, D)", ENVELOPE: "Envelope"}


def list_absent(view: StudyView) -> list[dict[str, str]]:
    """Return the laws without a fit: which, what is missing, and what would help."""
    off = [
        {"law": TITLES[name], "sentence": write_switched_off(row), "cure": ""}
        for name, row in view.off.items()
        if name in TITLES
    ]
    return off + [
        {"law": law, "sentence": refusal["sentence"], "cure": refusal["cure"]}
        for analysis, law, refusal in _list_refusals(view)
        if refusal and refusal["code"] not in SILENT and analysis not in view.off
    ]


def _list_refusals(view: StudyView) -> Iterator[tuple[str, str, RefusalDoc | None]]:
    yield LR_SWEEP, "LR* against size", _refuse_lr(view)
    yield from ((COMPUTE_OPTIMAL, *item) for item in _list_compute_refusals(view))
    yield LR_BATCH, "Learning rate x batch", (view.lr_batch or {}).get("refusal")
    yield CRITICAL_BATCH, "Critical batch size", find_critical_refusal(view, {})
    yield LR_SCHEDULE, "Schedules", find_schedule_refusal(view, {})
    yield RL_SIGMOID, "RL sigmoid", find_score_refusal(view)
    absent = set(_find_absent_instability(view))
    for slug, name in LOGGED.items():
        if slug in absent:
            yield INSTABILITY, name, NOT_LOGGED[slug]


def _list_compute_refusals(view: StudyView) -> Iterator[tuple[str, RefusalDoc | None]]:
    result: Mapping[str, Any] = view.compute or {}
    if result.get("refusal"):
        yield "Laws of compute", result["refusal"]
    elif result:
        variant = find_variant(view.compute)
        yield from ((name, find_refusal(variant, slug)) for slug, name in APPROACHES.items())
        law = variant.get("overtraining") if variant else None
        yield "Over-training", as_refusal(law["fit"]) if law else None
        yield "Variants", choose_pair(view, {}).refusal


def _refuse_lr(view: StudyView) -> RefusalDoc | None:
    """Return why no variant has a law of LR*."""
    if view.result is None:
        return None
    if view.result["refusal"]:
        return view.result["refusal"]
    laws = [as_refusal(item["exponent"]) for item in view.result["variants"]]
    return laws[0] if laws and all(laws) else None


def drop_absent_tabs(view: StudyView, names: Iterable[str], kept: str) -> list[str]:
    """Return tabs without those for which the study has nothing; `kept` stays."""
    absent = set()
    compute: Mapping[str, Any] = view.compute or {}
    compared = compute.get("variants" if LADDERS in view.off else "ladders", [])
    if len(compared) < 2:
        absent.add("compare")
    if not list_families(view):
        absent.add("schedule")
    if not list_critical(view):
        absent.add("critical")
    if not list_curves(view):
        absent.add("sigmoid")
    return [name for name in names if name not in absent or name == kept]


def drop_absent_figures(view: StudyView, names: Iterable[str], variant: str = "") -> list[str]:
    """Return figures without those for which the study has nothing.

    Where no law of compute can be fitted to anything, the coverage stands in the figures' place.
    """
    absent = {*_find_absent_instability(view)}
    if len(list_sweeps(view.rows.rows)) < 2:
        absent.add("lr_panels")
    if not list_cells(view):
        absent.add("lr_batch")
    if find_law(find_variant(view.compute, variant)) is None:
        absent |= {"overtraining", "overtraining_residuals"}
    if view.compute and view.compute["refusal"]:
        absent |= set(COMPUTE_FIGURES)
    return [name for name in names if name not in absent]


def _find_absent_instability(view: StudyView) -> Iterator[str]:
    """Yield the figures of what no run logs, beside the one that says so."""
    result: Mapping[str, Any] | None = view.instability
    if result is None:
        return
    if not result.get("values"):
        yield "logit_forecast"
    if not result.get("gradients"):
        yield "gradient_rms"
    if not any(curve["logz"] for curve in result.get("curves", [])):
        yield "log_z"
