"""P9: contours of the distance to the best loss over learning rate and batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fitting.compute_results import decode
from fitting.palette import (
    ROLES,
    VIRIDIS,
    category_tone,
    color_category,
    role_tone,
)
from fitting.plots.frame import (
    Trace,
    format_lr,
    format_number,
    log_axis,
    make_layout,
    make_whiskers,
    pad_log,
)
from fitting.results import as_refusal, read_ends
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
LEVELS = (0.1, 0.25, 0.5, 1.0, 2.0)  # percent above the best
NEAR = 2.0
SHADE = 0.1  # percent
RUN_HOVER = (
    "LR %{customdata[1]}, batch %{customdata[2]}<br>loss %{customdata[3]}, "
    "%{customdata[4]} % above the best<extra></extra>"
)
OPTIMUM_HOVER = "LR %{customdata[1]}, batch %{customdata[2]}<extra>%{customdata[3]}</extra>"
LAW_NAMES = {
    "step_law_surface": "surface rule",
    "step_law_threshold": "threshold rule",
    "published": "Step Law, published",
}
PUBLISHED = (0.5863, -0.71292, 0.30749, -0.5435, 0.57094)  # arXiv 2503.04715, released bootstrap
LAW_SYMBOLS = ("diamond", "square", "pentagon")


def draw_lr_batch(pair: tuple[Doc, Doc] | None) -> dict[str, object]:
    """Return data, layout and counts of one cell."""
    if pair is None:
        return EMPTY
    _, cell = pair
    lr, batch = cell["peak_lr"], cell["batch_tokens"]
    x_range, y_range = (
        pad_log(min(lr), max(lr), 0.06, 0.06),
        pad_log(min(batch), max(batch), 0.08, 0.08),
    )
    data = [*draw_contours(cell), *draw_runs(cell), draw_best(cell), *draw_vertex(cell)]
    n_symbols = 0
    for place, optimum in enumerate(predict_optima(pair)):
        inside = x_range[0] < optimum[1] < x_range[1] and y_range[0] < optimum[2] < y_range[1]
        if inside:
            data.append(_draw_optimum(optimum, place))
            n_symbols += 1
    layout = make_layout(
        log_axis("Peak learning rate", *x_range, format_lr),
        log_axis("Batch, tokens per step", *y_range, format_quantity),
        "lr_batch",
        n_legend=2 + n_symbols,
    )
    return {"data": data, "layout": layout, "drawn": len(lr), "clipped": 0}


def draw_contours(cell: Doc) -> list[Trace]:
    """Return one contour line a level, darker towards the best, on a shade of the distance."""
    if as_refusal(cell["refusal"]):
        return []
    z = [[None if math.isnan(v) else 100 * v for v in decode(row)] for row in cell["surface"]]
    x, y = cell["grid_lr"], cell["grid_batch"]
    fill: Trace = {
        "type": "contour",
        "x": x,
        "y": y,
        "z": z,
        "colorscale": shade_levels(),
        "zmin": 0.0,
        "zmax": NEAR,
        "contours": {
            "coloring": "fill",
            "showlines": False,
            "start": 0,
            "end": NEAR,
            "size": SHADE,
        },
        "line": {"width": 0},
        "opacity": 0.55,
        "colorbar": {
            "title": {"text": "% above the best", "side": "right", "font": {"size": 11.5}},
            "thickness": 10,
            "outlinewidth": 0,
            "tickfont": {"size": 10.5},
        },
        "hoverinfo": "skip",
        "name": "quadratic",
        "meta": {"part": "surface"},
    }
    return [fill, *(_draw_level(x, y, z, level) for level in LEVELS)]


def shade_levels() -> list[list[object]]:
    """Return viridis from the best to 2 % above it, and the panel beyond what was fitted.

    Plotly paints all above the last level in the last colour, along a smooth line, and over the
    level below: a transparent colour would show that one.
    """
    last = 1 - 0.5 * SHADE / NEAR  # the middle of the last shade, where its colour is read
    shades = [[last * i / (len(VIRIDIS) - 1), color] for i, color in enumerate(VIRIDIS)]
    return [*shades, [1 - 0.25 * SHADE / NEAR, ROLES["panel"]], [1.0, ROLES["panel"]]]


def _draw_level(x: object, y: object, z: object, level: float) -> Trace:
    return {
        "type": "contour",
        "x": x,
        "y": y,
        "z": z,
        "autocontour": False,
        "contours": {
            "coloring": "none",
            "start": level,
            "end": level,
            "size": 1,
            "showlabels": True,
            "labelfont": {"size": 11, "color": ROLES["ink"]},
            "labelformat": ".3~g",
        },
        "line": {"color": ROLES["ink"], "width": 1.2 if level < 1 else 0.8},
        "showscale": False,
        "hoverinfo": "skip",
        "showlegend": False,
        "name": f"{level:g} %",
        "meta": {"tone": role_tone("ink"), "part": "level"},
    }


def draw_runs(cell: Doc) -> list[Trace]:
    """Return the runs as small dots; those beyond 2 % grey, for they take no part in the fit."""
    least = min(cell["loss"])
    traces = []
    for is_near, role, part in ((False, "ink3", "far"), (True, "ink", "near")):
        rows = [
            (uid, lr, batch, loss)
            for uid, lr, batch, loss in zip(
                cell["run_ids"], cell["peak_lr"], cell["batch_tokens"], cell["loss"], strict=True
            )
            if (100 * (loss / least - 1) < NEAR) == is_near
        ]
        if not rows:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [lr for _, lr, _, _ in rows],
                "y": [batch for _, _, batch, _ in rows],
                "customdata": [
                    [
                        uid,
                        format_lr(lr),
                        format_quantity(batch),
                        format_number(loss, 4),
                        format_number(100 * (loss / least - 1)),
                    ]
                    for uid, lr, batch, loss in rows
                ],
                "hovertemplate": RUN_HOVER,
                "marker": {
                    "size": 4.5,
                    "color": ROLES[role],
                    "opacity": 0.8 if is_near else 0.35,
                },
                "showlegend": False,
                "name": "runs within 2 %" if is_near else "runs beyond 2 %",
                "meta": {"tone": role_tone(role), "part": part},
            }
        )
    return traces


def draw_best(cell: Doc) -> Trace:
    """Return the run with the least loss as a cross."""
    best = cell["best"]
    lr, batch = cell["peak_lr"][best], cell["batch_tokens"][best]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [lr],
        "y": [batch],
        "customdata": [[cell["run_ids"][best], format_lr(lr), format_quantity(batch), "best run"]],
        "hovertemplate": OPTIMUM_HOVER,
        "marker": {
            "size": 11,
            "symbol": "x-thin",
            "color": ROLES["ink"],
            "line": {"color": ROLES["ink"], "width": 2.6},
        },
        "showlegend": True,
        "name": "best run",
        "meta": {"tone": role_tone("ink"), "part": "best"},
    }


def draw_vertex(cell: Doc) -> list[Trace]:
    """Return the minimum of the quadratic as a star; a censored one is said, not starred."""
    if as_refusal(cell["refusal"]):
        return []
    lr, batch = (decode([cell[key]["value"]])[0] for key in ("lr", "batch"))
    whiskers = {}
    for key, name, value in (("lr", "error_x", lr), ("batch", "error_y", batch)):
        low, high = read_ends(cell[key]["interval"])
        whiskers[name] = {**make_whiskers([value], [low], [high]), "color": ROLES["accent"]}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [lr],
            "y": [batch],
            **whiskers,
            "customdata": [["", format_lr(lr), format_quantity(batch), "fitted optimum"]],
            "hovertemplate": OPTIMUM_HOVER,
            "marker": {
                "size": 15,
                "symbol": "star",
                "color": ROLES["accent"],
                "line": {"color": ROLES["panel"], "width": 1},
            },
            "showlegend": True,
            "name": "fitted optimum",
            "meta": {"tone": role_tone("accent"), "part": "star"},
        }
    ]


def predict_optima(pair: tuple[Doc, Doc]) -> list[tuple[str, float, float]]:
    """Return (law, LR*, B*) at the cell of every law that was fitted, and of the published one."""
    variant, cell = pair
    found = []
    for slug, fit in variant["laws"].items():
        if not as_refusal(fit):
            names = ("lr_const", "lr_N", "lr_D", "bs_const", "bs_D")
            params = tuple(decode([fit["params"][name]["value"]])[0] for name in names)
            found.append((LAW_NAMES[slug], *_evaluate(params, cell)))
    return [*found, (LAW_NAMES["published"], *_evaluate(PUBLISHED, cell))]


def _evaluate(params: tuple[float, ...], cell: Doc) -> tuple[float, float]:
    log_n, log_d = math.log(cell["n_params"]), math.log(cell["n_tokens"])
    lr = math.exp(params[0] + params[1] * log_n + params[2] * log_d)
    return lr, math.exp(params[3] + params[4] * log_d)


def _draw_optimum(optimum: tuple[str, float, float], place: int) -> Trace:
    name, lr, batch = optimum
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [lr],
        "y": [batch],
        "customdata": [["", format_lr(lr), format_quantity(batch), name]],
        "hovertemplate": OPTIMUM_HOVER,
        "marker": {
            "size": 10,
            "symbol": LAW_SYMBOLS[place % len(LAW_SYMBOLS)],
            "color": color_category(place + 1),
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "showlegend": True,
        "name": name,
        "meta": {"tone": category_tone(place + 1), "part": "law"},
    }
