"""P8: the parametric law over compute and size, and its predictions against the runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import PARAMETRIC, CellDoc, ComputeVariantDoc, decode
from fitting.palette import ROLES, SIZE_RANGE, add_alpha, interpolate_viridis, role_tone
from fitting.plots import residuals
from fitting.plots.frame import Trace, format_number, log_axis, make_layout
from fitting.results import as_refusal
from scaledash.lib.units import format_flops, format_quantity

# On the surface, whatever the theme: a page swaps the very colours of its own roles.
WHITE, BLACK = "#fffffe", "#000001"
CONTOURS = 16
SHADES = 12
HEADROOM = 0.25  # of the span of the losses, above the highest one
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
RESIDUAL = "residual"  # the option that colours the runs
BELOW, EVEN, ABOVE = "#2166ad", "#f7f7f7", "#b2182c"  # runs under, on and over the law
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
RUN_HOVER = (
    "N = %{customdata[1]}, D = %{customdata[2]}<br>C = %{customdata[3]}<br>"
    "loss %{customdata[4]}, law %{customdata[5]} (%{customdata[6]})<extra></extra>"
)


def predict(fit: Mapping[str, Any], cell: CellDoc) -> float:
    """Return the fitted loss of a cell."""
    p = {name: estimate["value"] for name, estimate in fit["params"].items()}
    size = p["A"] * cell["n_params"] ** -p["alpha"]
    return float(p["E"] + size + p["B"] * cell["n_tokens"] ** -p["beta"])


def is_fitted(variant: ComputeVariantDoc | None) -> bool:
    """Say whether approach 3 was fitted."""
    return variant is not None and not as_refusal(variant["parametric"])


def draw_surface(
    variant: ComputeVariantDoc | None, x_title: str, has_residuals: bool = False
) -> dict[str, object]:
    """Return data, layout and counts of the contour figure; runs may be coloured by residual."""
    if variant is None or not is_fitted(variant) or variant["surface"] is None:
        return EMPTY
    grid = variant["surface"]
    z = [decode(row) for row in grid["loss"]]
    known = [value for row in z for value in row if math.isfinite(value)]
    highest = max(cell["loss"] for cell in variant["cells"])
    limits = (min(known), min(max(known), highest + HEADROOM * (highest - min(known))))
    cells = draw_cells(variant)
    if has_residuals:
        cells["marker"] |= colour_residuals(variant)
    data = [draw_contours(grid, z, limits), *draw_mask(grid), *draw_frontier(variant), cells]
    layout = make_layout(
        log_axis("Compute C, FLOPs", grid["flops"][0], grid["flops"][-1], format_flops),
        log_axis(x_title, grid["n_params"][0], grid["n_params"][-1], format_quantity),
        "surface",
    )
    return {"data": data, "layout": layout, "drawn": len(variant["cells"]), "clipped": 0}


def draw_contours(
    grid: Mapping[str, Any], z: list[list[float]], limits: tuple[float, float]
) -> Trace:
    """Return the filled contours: darkest where the loss is least, blank without support.

    The lightest shade is that of the smallest size elsewhere: white labels read on it.

    The colours end a little above the worst run; the law far beyond it would use up the scale.
    """
    low, high = limits
    step = next((s for s in STEPS if (high - low) / s <= CONTOURS), STEPS[-1])
    start = math.ceil(low / step) * step
    return {
        "type": "contour",
        "x": grid["flops"],
        "y": grid["n_params"],
        "z": [[value if math.isfinite(value) else None for value in row] for row in z],
        "colorscale": [
            [i / SHADES, interpolate_viridis(SIZE_RANGE[0] * i / SHADES)] for i in range(SHADES + 1)
        ],
        "contours": {
            "coloring": "fill",
            "showlabels": True,
            "labelfont": {"size": 10.5, "color": WHITE},
            "start": start,
            "end": high,
            "size": step,
        },
        "zmin": low,
        "zmax": high,
        "line": {"color": add_alpha(WHITE, 0.6), "width": 0.6},
        "colorbar": {
            "title": {"text": "loss", "side": "right", "font": {"size": 11.5}},
            "thickness": 10,
            "outlinewidth": 0,
            "tickfont": {"size": 10.5},
        },
        "hovertemplate": "C = %{x:.3g}<br>N = %{y:.3g}<br>law: %{z:.4g}<extra></extra>",
        "name": "law",
        "meta": {"part": "surface"},
    }


def draw_mask(grid: Mapping[str, Any]) -> list[Trace]:
    """Return what covers the colours above and below the sizes that the runs support.

    The contours end between nodes of the grid, in steps; the edge of the support is smooth.
    Fits of earlier versions have no edge.
    """
    flops = grid.get("edge_flops") or []
    outer = {"edge_low": grid["n_params"][0], "edge_high": grid["n_params"][-1]}
    return [
        {
            "type": "scatter",
            "mode": "none",
            "x": [*flops, flops[-1], flops[0]],
            "y": [*grid[edge], limit, limit],
            "fill": "toself",
            "fillcolor": ROLES["panel"],
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "without support",
            "meta": {"tone": role_tone("panel"), "part": "mask"},
        }
        for edge, limit in outer.items()
        if flops
    ]


def draw_frontier(variant: ComputeVariantDoc) -> list[Trace]:
    """Return N*(C) of approach 3 on a casing: solid within the budgets, dashed beyond."""
    lines = [item for item in variant["frontiers"] if item["approach"] == PARAMETRIC]
    traces: list[Trace] = []
    for frontier in lines:
        points = list(
            zip(
                frontier["flops"],
                decode(frontier["n_params"]["value"]),
                frontier["extrapolated"],
                strict=True,
            )
        )
        inside = [(x, y) for x, y, beyond in points if not beyond]
        outside = inside[-1:] + [(x, y) for x, y, beyond in points if beyond]
        for part, dash in ((inside, "solid"), (outside, "dash")):
            for width, role in ((4, "panel"), (2, "accent")):
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "lines",
                        "x": [x for x, _ in part],
                        "y": [y for _, y in part],
                        "line": {
                            "color": ROLES[role],
                            "width": width,
                            "dash": dash if role == "accent" else "solid",
                        },
                        "hoverinfo": "skip",
                        "name": "frontier",
                        "meta": {
                            "tone": role_tone(role),
                            "part": "casing" if role == "panel" else "frontier",
                        },
                    }
                )
    return traces


def draw_cells(variant: ComputeVariantDoc) -> Trace:
    """Return the runs as white dots with a dark edge."""
    cells = variant["cells"]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [cell["flops"] for cell in cells],
        "y": [cell["n_params"] for cell in cells],
        "customdata": [_describe(variant, cell) for cell in cells],
        "hovertemplate": RUN_HOVER,
        "marker": {"size": 6, "color": WHITE, "line": {"color": BLACK, "width": 1.2}},
        "name": "runs",
        "meta": {"part": "cell"},
    }


def list_errors(variant: ComputeVariantDoc) -> list[float]:
    """Return how far each cell lies above the law, in percent of it."""
    fit = variant["parametric"]
    return [100 * (cell["loss"] / predict(fit, cell) - 1) for cell in variant["cells"]]


def colour_residuals(variant: ComputeVariantDoc) -> dict[str, object]:
    """Return marks on a diverging scale with symmetric limits: white is on the law."""
    errors = list_errors(variant)
    limit = max(map(abs, errors))
    return {
        "size": 9,
        "color": errors,
        "colorscale": [[0, BELOW], [0.5, EVEN], [1, ABOVE]],
        "cmin": -limit,
        "cmax": limit,
    }


def describe_colours(variant: ComputeVariantDoc | None, has_residuals: bool) -> str:
    """Say what the colours of the runs mean."""
    if variant is None or not is_fitted(variant) or not has_residuals:
        return ""
    limit = max(map(abs, list_errors(variant)))
    return f" Red lies above the law, blue below; the strongest colour is {limit:.2g} %."


def _describe(variant: ComputeVariantDoc, cell: CellDoc) -> list[str]:
    law = predict(variant["parametric"], cell)
    return [
        cell["run_ids"][0],
        format_quantity(cell["n_params"]),
        format_quantity(cell["n_tokens"]),
        format_flops(cell["flops"]),
        format_number(cell["loss"], 4),
        format_number(law, 4),
        residuals.write_error(law, cell["loss"]),
    ]


def measure_rmse(variant: ComputeVariantDoc) -> float:
    """Return the root mean square relative error of approach 3, in per mille."""
    fit, cells = variant["parametric"], variant["cells"]
    squares = [(predict(fit, cell) / cell["loss"] - 1) ** 2 for cell in cells]
    return 1000 * math.sqrt(sum(squares) / len(squares))


def draw_residuals(variant: ComputeVariantDoc | None) -> dict[str, object]:
    """Return data, layout and counts of predicted against observed loss."""
    if variant is None or not is_fitted(variant):
        return EMPTY
    fit, cells = variant["parametric"], variant["cells"]
    return residuals.draw_residuals(
        list_residuals(fit, cells, [predict(fit, cell) for cell in cells]), "residuals"
    )


def list_residuals(
    fit: Mapping[str, Any], cells: Sequence[CellDoc], predicted: Sequence[float]
) -> list[residuals.Series]:
    """Return the fitted cells, and the withheld ones as the fit without them predicts them."""
    named = {" ".join(cell["run_ids"]): cell for cell in cells}
    pairs = zip(cells, predicted, strict=True)
    series = [residuals.Series("in the fit", 0, [_place(cell, law) for cell, law in pairs])]
    held = fit["held_out"]
    if not as_refusal(held):
        withheld = zip(held["ids"], held["predicted"], strict=True)
        points = [_place(named[name], law) for name, law in withheld]
        series.append(residuals.Series(f"held out ({held['rule']})", 1, points, True))
    return series


def _place(cell: CellDoc, predicted: float) -> residuals.Residual:
    words = f"N = {format_quantity(cell['n_params'])}, D = {format_quantity(cell['n_tokens'])}"
    return residuals.Residual(cell["loss"], predicted, cell["run_ids"][0], words)
