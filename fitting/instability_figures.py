"""The figures of the instabilities tab (P4 and its twins)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fitting.lr_figures import name_scale
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.frame import format_lr
from fitting.plots.instability import draw_gradient_rms, draw_logit_forecast
from fitting.plots.instability_curves import draw_attention_logits, draw_log_z, name_level
from fitting.queries import StudyView
from fitting.results import RefusalDoc
from fitting.variants import list_undrawn, name_variants
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

NOT_LOGGED: dict[str, RefusalDoc] = {
    "gradient_rms": {
        "code": "not_logged",
        "sentence": "no run of the study logs grad.rms.* at 3 sizes with adam_eps in its config",
        "cure": "log the RMS of a matrix's gradient before clipping",
    },
    "log_z": {
        "code": "not_logged",
        "sentence": "no run of the study logs logits.logz_mean",
        "cure": "log the mean of log Z of the output logits, with its sign",
    },
}


def _count(view: StudyView) -> dict[str, int]:
    rows, included = view.rows.rows, view.rows.included
    return {
        "n": len(rows),
        "drawn": 0,
        "diverged": sum(row.diverged for row in included),
        "nonfinite": 0,
        "nonpositive": 0,
        "clipped": 0,
        "excluded": len(rows) - len(included),
        "held_out": 0,
    }


def _refuse(view: StudyView, options: Options, drawn: Figure, name: str = "") -> RefusalDoc | None:
    """Return why a figure is empty: its own metric is not logged, or that of the logits."""
    result: Any = view.instability
    if result is None or drawn["data"]:
        return None
    return NOT_LOGGED.get(name) or result["refusal"]


def choose_shown(view: StudyView, options: Options) -> tuple[dict[str, Any] | None, int]:
    """Return the result with the drawn variants alone, under short names; and undrawn runs."""
    result: Any = view.instability
    if result is None:
        return None, 0
    rows = view.rows.rows
    names = name_variants(row.variant for row in rows)
    left = list_undrawn(rows, options.get("variant", ""))
    shown = {**result}
    for part in ("curves", "forecasts", "gradients"):
        kept = [item for item in result.get(part, []) if item["variant"] not in left]
        shown[part] = [{**item, "variant": _name(item["variant"], names)} for item in kept]
    kept = [item for item in result.get("values", []) if item[3] not in left]
    shown["values"] = [[*item[:3], _name(item[3], names), *item[4:]] for item in kept]
    return shown, len(result.get("curves", [])) - len(shown["curves"])


def _name(label: str, names: Mapping[str, str]) -> str:
    return names.get(label, label)


def _draw_logits(view: StudyView, options: Options) -> Figure:
    result, undrawn = choose_shown(view, options)
    return {**draw_attention_logits(result), "undrawn": undrawn}


def _draw_log_z(view: StudyView, options: Options) -> Figure:
    result, undrawn = choose_shown(view, options)
    return {**draw_log_z(result), "undrawn": undrawn}


def _law(view: StudyView, options: Options) -> Figure:
    return {}


def _caption_logits(view: StudyView, options: Options) -> str:
    result: Any = view.instability
    curves = [curve for curve in (result or {}).get("curves", []) if curve["steps"]]
    if not curves:
        return "The largest attention logit of each run against step."
    return (
        f"{len(curves)} runs, {result['form']}, maximum over layers, one panel a learning rate. "
        "Colour is the size, the strongest is the largest; dashes are variants. Dotted lines are "
        "the project's thresholds; the ground above the last one is shaded."
    )


def _caption_log_z(view: StudyView, options: Options) -> str:
    curves = [curve for curve in _curves(view) if curve["logz_steps"]]
    if not curves:
        return "log Z of the output logits against step."
    return (
        f"{len(curves)} runs, mean of log Z over tokens; a late, one-sided run-away is "
        "output-logit divergence."
    )


def _curves(view: StudyView) -> list[dict[str, Any]]:
    result: Any = view.instability or {}
    return result.get("curves", [])


def _caption_forecast(view: StudyView, options: Options) -> str:
    result: Any = view.instability
    if not result:
        return "The largest attention logit at an early step against size."
    worst = min(
        (item for item in result["forecasts"] if item["crossing"]),
        key=lambda item: item["crossing"],
        default=None,
    )
    text = (
        f"Maximum over layers at step {result['step']:,}; runs above "
        f"{name_level(result['limit'])} are left out of the lines."
    )
    return f"{worst['sentence']} {text}" if worst else text


def _caption_gradient(view: StudyView, options: Options) -> str:
    result: Any = view.instability
    trends = result["gradients"] if result else []
    if not trends:
        return "Gradient RMS of a matrix against size, beside Adam's epsilon."
    nearest = min(trends, key=lambda trend: trend["values"][-1] / trend["epsilon"])
    return f"{nearest['sentence']} Mean of the final 500 steps of {nearest['metric']}."


def _tabulate_logits(view: StudyView, options: Options) -> Figure:
    result: Any = view.instability or {}
    columns = {"run": "Run", "variant": "Variant", "n": "N", "lr": "LR", "largest": "Largest logit"}
    rows = [
        {
            "run": item["run"],
            "variant": item["variant"],
            "n": format_quantity(item["n"]),
            "lr": format_lr(item["lr"]),
            "largest": max(item["logits"], key=lambda value: decode_float(value) or 0.0),
        }
        for item in result.get("curves", [])
        if item["steps"]
    ]
    return _table(columns, rows)


def _tabulate_log_z(view: StudyView, options: Options) -> Figure:
    columns = {
        "run": "Run",
        "variant": "Variant",
        "n": "N",
        "lr": "LR",
        "first": "First log Z",
        "last": "Last log Z",
    }
    rows = [
        {
            "run": item["run"],
            "variant": item["variant"],
            "n": format_quantity(item["n"]),
            "lr": format_lr(item["lr"]),
            "first": item["logz"][0],
            "last": item["logz"][-1],
        }
        for item in _curves(view)
        if item["logz"]
    ]
    return _table(columns, rows)


def _tabulate_forecast(view: StudyView, options: Options) -> Figure:
    result: Any = view.instability or {}
    columns = {
        "lr": "LR",
        "variant": "Variant",
        "n_sizes": "Sizes",
        "slope": "Exponent",
        "crossing": f"N at {name_level(result.get('limit', 1e4))}",
        "low": "from",
        "high": "to",
        "held_out": "Hold-out ratio",
        "held_out_low": "80 % from",
        "held_out_high": "80 % to",
    }
    rows = [
        {
            **{name: item[name] for name in columns if name in item},
            "lr": format_lr(item["lr"]),
            "n_sizes": len(item["sizes"]),
        }
        for item in result.get("forecasts", [])
    ]
    return _table(columns, rows)


def _tabulate_gradient(view: StudyView, options: Options) -> Figure:
    result: Any = view.instability or {}
    columns = {
        "lr": "LR",
        "variant": "Variant",
        "n_sizes": "Sizes",
        "slope": "Exponent",
        "largest": "RMS at the largest size",
        "epsilon": "Epsilon",
        "crossing": "N at epsilon",
    }
    rows = [
        {
            **{name: item[name] for name in columns if name in item},
            "lr": format_lr(item["lr"]),
            "n_sizes": len(item["sizes"]),
            "largest": item["values"][-1],
        }
        for item in result.get("gradients", [])
    ]
    return _table(columns, rows)


def _table(columns: dict[str, str], rows: list[dict[str, object]]) -> Figure:
    return {"columns": [{"key": k, "label": v} for k, v in columns.items()], "rows": rows}


INSTABILITY_FIGURES = {
    "attention_logits": Plot(
        "Attention logits against step",
        _draw_logits,
        _caption_logits,
        _tabulate_logits,
        _law,
        _count,
        _refuse,
    ),
    "logit_forecast": Plot(
        "Attention logits against size",
        lambda view, options: draw_logit_forecast(choose_shown(view, options)[0], name_scale(view)),
        _caption_forecast,
        _tabulate_forecast,
        _law,
        _count,
        _refuse,
    ),
    "gradient_rms": Plot(
        "Gradient RMS against size",
        lambda view, options: draw_gradient_rms(choose_shown(view, options)[0], name_scale(view)),
        _caption_gradient,
        _tabulate_gradient,
        _law,
        _count,
        partial(_refuse, name="gradient_rms"),
    ),
    "log_z": Plot(
        "log Z against step",
        _draw_log_z,
        _caption_log_z,
        _tabulate_log_z,
        _law,
        _count,
        partial(_refuse, name="log_z"),
    ),
}
