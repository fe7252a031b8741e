"""The laws of schedules of a study: their figures, and the document of their tab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fitting.compute_results import decode
from fitting.law_table import Document, describe_law_fit, summarise_fit
from fitting.lr_figures import count_runs
from fitting.plots.compute_tables import make_columns
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.schedules import draw_schedule_fit, draw_schedule_residuals, draw_schedules
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal
from fitting.texts import MINUS, format_lr, format_number
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
LAW, MULTI_POWER = "lr_annealing", "multi_power"
LAW_NAMES = {LAW: "annealing", MULTI_POWER: "multi-power"}
FORMULAS = {
    LAW: "L = L0 + A S1^-a - C S2",
    MULTI_POWER: "L = L0 + A S1^-a + B sum Δlr G(lr^-gamma S), G(x) = 1 - (1 + C x)^-beta",
}
COLUMNS = {
    "total_steps": "Schedule, steps",
    "step": "Step",
    "lr": "LR",
    "loss": "Loss",
    "fitted": "Law",
    "predicted": "From the others",
}
TABLE_STEP = 4  # of the points of a curve that the table shows


def list_families(view: StudyView) -> list[Doc]:
    """Return the families of the newest fit that read the curves."""
    return list((view.schedule or {}).get("families", []))


def find_family(view: StudyView, options: Options) -> Doc | None:
    """Return the shown family under the law that the option `law` names, else the annealing law."""
    family = choose_family(view, options)
    other: Doc | None = family.get("multi_power") if family else None
    return other if other and options.get("law") == MULTI_POWER else family


def name_law(family: Doc | None) -> str:
    """Return the law of a fitted family."""
    fit = family["fit"] if family else {}
    return str(fit.get("law", LAW))


def choose_family(view: StudyView, options: Options) -> Doc | None:
    """Return the family that the option `family` numbers, else the largest size with a law."""
    families = list_families(view)
    asked = options.get("family", "")
    if asked.isdecimal() and len(asked) < 6 and int(asked) < len(families):
        return families[int(asked)]
    fitted = [family for family in families if not as_refusal(family["fit"])]
    known = fitted or families
    return max(known, key=lambda item: (len(item["curves"]), item["n_params"]), default=None)


def name_family(family: Doc) -> str:
    """Return what a family is called."""
    named = f", {family['variant']}" if family["variant"] else ""
    return f"N = {format_quantity(family['n_params'])}, LR {format_lr(family['peak_lr'])}{named}"


def find_refusal(view: StudyView, options: Options) -> RefusalDoc | None:
    """Return why the study, or the shown family, has no schedule law."""
    refusal: RefusalDoc | None = (view.schedule or {}).get("refusal")
    family = find_family(view, options)
    return refusal or (as_refusal(family["fit"]) if family else None)


def build_schedules(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the document of the tab: families, the table of the shown law, or what is missing."""
    result: Mapping[str, Any] = view.schedule or {}
    chosen, shown = choose_family(view, options), find_family(view, options)
    law = name_law(shown)
    texts = result.get("laws", {}).get(law, {})
    has_both = bool(chosen and chosen.get("multi_power"))
    return {
        "shown_law": law,
        "law_choices": LAW_NAMES if has_both else {},
        "refusal": find_refusal(view, options),
        "shown": name_family(shown) if shown else "",
        "families": [
            {
                **describe_family(family),
                "number": number,
                "is_shown": family is chosen,
                "other_text": _describe_other(family),
            }
            for number, family in enumerate(list_families(view))
        ],
        "law": describe_law_fit(shown["fit"] if shown else None, texts, "points of curves"),
    }


def _describe_other(family: Doc) -> str:
    """Return how the multi-power law predicts each curve from the others."""
    other = family.get("multi_power")
    return str(describe_family(other).get("held_out_text", "")) if other else ""


def describe_family(family: Doc) -> Document:
    """Return a family as one row of the table."""
    fit = family["fit"]
    refusal = as_refusal(fit)
    row: Document = {
        "name": name_family(family),
        "n_curves": len(family["curves"]),
        "lengths": ", ".join(format_quantity(curve["total_steps"]) for curve in family["curves"]),
        "remark": refusal["sentence"] if refusal else "",
    }
    if refusal:
        return row
    mae, held, end = (decode([family[key]])[0] for key in ("mae", "held_out_mae", "end_error"))
    return {
        **row,
        "mae": mae,
        "mae_text": format_number(mae, 2),
        "held_out_mae": held if held == held else None,
        "held_out_text": format_number(held, 2),
        "end_error": end if end == end else None,
        "end_text": f"{100 * end:+.2g} %".replace("-", MINUS) if end == end else "",
        "lambda": fit["options"].get("lambda"),
        "params": {
            name: format_number(item["value"]) for name, item in sorted(fit["params"].items())
        },
    }


def summarise_schedules(view: StudyView, options: Mapping[str, str]) -> list[Document]:
    """Return the four KPI of the tab."""
    family = find_family(view, options)
    refusal = find_refusal(view, options)
    row = describe_family(family) if family and not refusal else {}
    reason = refusal["sentence"] if refusal else "comes with the deep fit"
    law = name_law(family)
    where = f"{row['name']}; {LAW_NAMES[law]} law" if row else ""
    texts = {
        "end_error": ("Longest run from the others", row.get("end_text", ""), "error of its end"),
        "held_out_mae": (
            "Held-out error, nats",
            row.get("held_out_text", ""),
            "mean absolute, each curve from the others",
        ),
        "mae": ("Error of the law, nats", row.get("mae_text", ""), "mean absolute, all curves"),
        "lambda": ("Decay of annealing, λ", format_number(row.get("lambda")), "profiled"),
    }
    return [
        {
            "key": key,
            "label": label,
            "value": value,
            "interval": note if value else "",
            "basis": where if value else reason,
        }
        for key, (label, value, note) in texts.items()
    ]


def _caption(view: StudyView, options: Options) -> str:
    family = find_family(view, options)
    if family is None or as_refusal(family["fit"]):
        return "Training loss along the schedule of each run."
    row = describe_family(family)
    return (
        f"{row['name']}; schedules of {row['lengths']} steps. Marks: training loss after the "
        f"warm-up, means of blocks. Solid: {FORMULAS[name_law(family)]} fitted to all curves (mean "
        f"absolute error {row['mae_text']} nats). Dotted: each curve predicted from the others "
        f"({row['held_out_text'] or 'none'} nats; end of the longest {row['end_text'] or 'none'}). "
        "Points of one curve are not independent: intervals need 8 curves."
    )


def _tabulate(view: StudyView, options: Options) -> Figure:
    family = find_family(view, options)
    rows = []
    for curve in family["curves"] if family else []:
        predicted = decode(curve["predicted"]) or [float("nan")] * len(curve["steps"])
        columns = (curve["steps"], curve["lr"], decode(curve["loss"]), decode(curve["fitted"]))
        for step, lr, loss, fitted, other in list(zip(*columns, predicted, strict=True))[
            ::TABLE_STEP
        ]:
            rows.append(
                {
                    "total_steps": curve["total_steps"],
                    "step": step,
                    "lr": lr,
                    "loss": loss,
                    "fitted": fitted,
                    "predicted": other if other == other else None,
                }
            )
    return {"columns": make_columns(COLUMNS), "rows": rows}


def _law(view: StudyView, options: Options) -> Figure:
    family = find_family(view, options)
    refusal = find_refusal(view, options)
    return summarise_fit(family["fit"]) if family and not refusal else {"refusal": refusal}


def _refuse(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    return find_refusal(view, options)


def _make(title: str, draw: Callable[[Doc | None], Figure], caption: str = "") -> Plot:
    return Plot(
        title,
        lambda view, options: draw(find_family(view, options)),
        (lambda view, options: caption) if caption else _caption,
        _tabulate,
        _law,
        count_runs,
        _refuse,
    )


SCHEDULE_FIGURES: Mapping[str, Plot] = {
    "schedule_fit": _make("Loss along the schedule", draw_schedule_fit),
    "schedules": _make(
        "Learning rate of each run", draw_schedules, "As logged, after the warm-up."
    ),
    "schedule_residuals": _make(
        "Predicted against measured loss",
        draw_schedule_residuals,
        "Dots: the law on all curves. Diamonds: each curve predicted from the others.",
    ),
}
