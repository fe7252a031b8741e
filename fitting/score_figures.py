"""The sigmoids of a study: the figures of P12, and the document of their tab."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import decode
from fitting.law_table import Document, describe_law_fit, summarise_fit
from fitting.lr_figures import count_states
from fitting.palette import SYMBOLS, category_tone
from fitting.plots.compute_tables import make_columns
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.sigmoid import (
    draw_score_residuals,
    draw_sigmoid,
    write_asymptote,
)
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal
from fitting.texts import format_interval, format_number
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
LAW = "rl_sigmoid"
MAX_DRAWN = 6  # as many as there are colours
PARAMS = ("A", "C_mid", "B")  # in the order of the table's columns
NOISE = 0.02  # three repeats of one recipe move A by .015 (arXiv 2510.13786, section 4)
COLUMNS = {
    "run": "Run of",
    "compute": "C",
    "score": "Score",
    "fitted": "Law",
    "predicted": "From the first half",
}


def list_curves(view: StudyView) -> list[Doc]:
    """Return the runs with a score curve, each under a name of its own."""
    curves = (view.sigmoid or {}).get("curves", [])
    titles = {row.uid: row.name for row in view.rows.rows}
    shared = Counter(curve["variant"] for curve in curves)
    return [
        {
            **curve,
            "name": curve["variant"]
            if curve["variant"] and shared[curve["variant"]] == 1
            else titles.get(curve["run_id"], curve["run_id"]),
        }
        for curve in curves
    ]


def choose_drawn(view: StudyView) -> list[Doc]:
    """Return the runs that figures show: where they are many, those with the most compute."""
    curves = list_curves(view)
    longest = sorted(curves, key=lambda curve: -curve["compute"][-1])[:MAX_DRAWN]
    return [curve for curve in curves if curve in longest]


def find_unit(view: StudyView) -> str:
    """Return the unit of compute."""
    return str((view.sigmoid or {}).get("unit", ""))


def find_refusal(view: StudyView) -> RefusalDoc | None:
    """Return why no run has a sigmoid."""
    result: Mapping[str, Any] = view.sigmoid or {}
    refusals = [as_refusal(curve["fit"]) for curve in list_curves(view)]
    if refusals and all(refusals):
        return refusals[0]
    refusal: RefusalDoc | None = result.get("refusal")
    return refusal


def build_sigmoids(view: StudyView) -> Document:
    """Return the document of the tab: every run, the law of each, or what is missing."""
    result: Mapping[str, Any] = view.sigmoid or {}
    drawn = choose_drawn(view)
    return {
        "refusal": find_refusal(view),
        "metric": result.get("metric", ""),
        "unit": find_unit(view),
        "steepness_text": format_number(decode([result.get("steepness", "NaN")])[0]),
        "n_left_out": len(list_curves(view)) - len(drawn),
        "runs": [describe_run(view, curve, drawn) for curve in list_curves(view)],
        "sentences": compare_asymptotes(view),
        "law": _describe_best(view, drawn),
    }


def _describe_best(view: StudyView, drawn: Sequence[Doc]) -> Document:
    """Return the table of the run with the highest asymptote, that of the numbers on top."""
    fitted = [curve for curve in drawn if not as_refusal(curve["fit"])]
    best = max(fitted, key=_read_asymptote, default=None)
    texts = (view.sigmoid or {}).get("laws", {}).get(LAW, {})
    table = describe_law_fit(best["fit"] if best else None, texts, "scores")
    rows = table["rows"]
    assert isinstance(rows, list)
    rows = sorted(rows, key=lambda row: PARAMS.index(row["key"]))
    named = [{**row, "unit": find_unit(view)} if row["key"] == "C_mid" else row for row in rows]
    title = f"{table['title']}: {best['name']}" if best else table["title"]
    return {**table, "title": title, "rows": named}


def describe_run(view: StudyView, curve: Doc, drawn: Sequence[Doc]) -> Document:
    """Return a run as one row of the table."""
    place = drawn.index(curve) if curve in drawn else None
    shown = (
        {}
        if place is None
        else {"tone": json.dumps(category_tone(place)), "shape": SYMBOLS[place % 2]}
    )
    row: Document = {
        "run": curve["run_id"],
        "name": curve["name"],
        "n_points": sum(curve["used"]),
        "n_early": len(curve["used"]) - sum(curve["used"]),
        "start_text": format_number(curve["start"]),
        "compute_text": format_quantity(curve["compute"][-1]),
        **shown,
    }
    refusal = as_refusal(curve["fit"])
    if refusal:
        return {**row, "remark": refusal["sentence"]}
    params = curve["fit"]["params"]
    held = curve["fit"]["held_out"]
    errors = [] if as_refusal(held) else [abs(value) for value in decode(held["relative_error"])]
    common = decode([curve["common"].get("A", "NaN")])[0]
    remarks = ["A is extrapolated: the data end before 3 C_mid"] if curve["is_extrapolated"] else []
    return {
        **row,
        "params": {
            name: {
                "value": item["value"],
                "text": format_quantity(item["value"])
                if name == "C_mid"
                else format_number(item["value"]),
                "interval": format_interval(
                    item["interval"], format_quantity if name == "C_mid" else format_number
                ),
            }
            for name, item in ((name, params[name]) for name in PARAMS)
        },
        "common_text": format_number(common),
        "held_out": max(errors, default=None),
        "held_out_text": f"{100 * max(errors):.2g} %" if errors else "",
        "remark": "; ".join(remarks),
    }


def compare_asymptotes(view: StudyView) -> list[str]:
    """Say which two runs' asymptotes differ by more than repeats of one recipe do."""
    fitted = [curve for curve in list_curves(view) if not as_refusal(curve["fit"])]
    if len(fitted) < 2:
        return []
    best, second = sorted(fitted, key=_read_asymptote, reverse=True)[:2]
    gap = _read_asymptote(best) - _read_asymptote(second)
    names = " and ".join(f"{run['name']} ({write_asymptote(run, ', ')})" for run in (best, second))
    if gap < NOISE:
        return [
            f"The two highest asymptotes, {names}, differ by {gap:.3f}: less than repeats of one "
            f"recipe do ({NOISE:g}). Compare how steeply they rise, at a common A."
        ]
    return [f"The highest asymptotes are {names}; they differ by {gap:.3f}."]


def _read_asymptote(curve: Doc) -> float:
    return float(curve["fit"]["params"]["A"]["value"])


def summarise_sigmoids(view: StudyView) -> list[Document]:
    """Return the four KPI of the tab, of the run with the highest asymptote."""
    fitted = [curve for curve in list_curves(view) if not as_refusal(curve["fit"])]
    best = max(fitted, key=_read_asymptote, default=None)
    refusal = find_refusal(view)
    reason = refusal["sentence"] if refusal else "no fit yet"
    row: Mapping[str, Any] = describe_run(view, best, []) if best else {}
    params, unit = row.get("params", {}), find_unit(view)
    shown = {
        "asymptote": ("Asymptote A", "A", ""),
        "midpoint": (f"Midpoint, {unit or 'compute'}", "C_mid", ""),
        "steepness": ("Steepness B", "B", ""),
    }
    kpis: list[Document] = []
    for key, (label, name, _) in shown.items():
        item = params.get(name, {})
        interval = f"95 %: {item['interval']}" if item.get("interval") else "no interval"
        kpis.append(_show(key, label, item.get("text", ""), interval, row.get("name") or reason))
    held = str(row.get("held_out_text", ""))
    note = "largest error, second half of the compute from the first"
    return [*kpis, _show("score_held_out", "Held-out error", held, note, row.get("name") or reason)]


def _show(key: str, label: str, value: str, note: str, basis: object) -> Document:
    return {
        "key": key,
        "label": label,
        "value": value,
        "interval": note if value else "",
        "basis": basis,
    }


def _draw(view: StudyView, options: Options) -> Figure:
    return draw_sigmoid(choose_drawn(view), find_unit(view))


def _caption(view: StudyView, options: Options) -> str:
    drawn = choose_drawn(view)
    if not drawn:
        return "Score of reinforcement learning against compute."
    early = max(curve["first_compute"] for curve in drawn)
    cut = (
        f"Grey: the first {format_quantity(early)} {find_unit(view)}, in no fit. " if early else ""
    )
    laws = "; ".join(
        f"{curve['name']}: {write_asymptote(curve, ', ')}"
        for curve in drawn
        if not as_refusal(curve["fit"])
    )
    left = len(list_curves(view)) - len(drawn)
    more = f" The {left} runs with less compute are in the table only." if left else ""
    return (
        f"R = R0 + (A - R0) / (1 + (C_mid/C)^B), least squares, R0 measured. {cut}Solid: the law, "
        "dashed beyond the data, band: 95 % interval. Diamonds: the second half of the compute; "
        "dotted: that half predicted from the first. Dotted level: A; tick at the foot: C_mid. "
        f"{laws}.{more}"
    )


def _tabulate(view: StudyView, options: Options) -> Figure:
    rows = []
    for curve in choose_drawn(view):
        columns = (decode(curve[key]) for key in ("compute", "score", "fitted", "predicted"))
        for compute, score, fitted, predicted in zip(*columns, strict=True):
            rows.append(
                {
                    "run": curve["name"],
                    "compute": compute,
                    "score": score,
                    "fitted": fitted if math.isfinite(fitted) else None,
                    "predicted": predicted if math.isfinite(predicted) else None,
                }
            )
    return {"columns": make_columns(COLUMNS), "rows": rows}


def _law(view: StudyView, options: Options) -> Figure:
    fitted = [curve for curve in choose_drawn(view) if not as_refusal(curve["fit"])]
    if not fitted:
        return {"refusal": find_refusal(view)}
    return {curve["run_id"]: summarise_fit(curve["fit"]) for curve in fitted}


def _refuse(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    return find_refusal(view)


def _caption_residuals(view: StudyView, options: Options) -> str:
    return (
        "Score of the law against the measured one. Open diamonds: the second half of the compute, "
        "predicted from the first."
    )


def _draw_residuals(view: StudyView, options: Options) -> Figure:
    return draw_score_residuals(choose_drawn(view))


SCORE_FIGURES: Mapping[str, Plot] = {
    "sigmoid": Plot(
        "Score against compute", _draw, _caption, _tabulate, _law, count_states, _refuse
    ),
    "score_residuals": Plot(
        "Predicted against measured score",
        _draw_residuals,
        _caption_residuals,
        _tabulate,
        _law,
        count_states,
        _refuse,
    ),
}
