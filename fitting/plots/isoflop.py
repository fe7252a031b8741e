"""P6: loss against size at equal compute, with the parabola and the vertex of each budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fitting.compute_results import CellDoc, ComputeVariantDoc, ProfileDoc, decode
from fitting.palette import ROLES, SYMBOLS, color_size, place_sizes, role_tone, size_tone
from fitting.plots.frame import (
    LEAST_HEIGHT,
    MARGIN,
    Trace,
    format_lr,
    format_number,
    linear_axis,
    log_axis,
    make_layout,
    make_whiskers,
    pad_linear,
    pad_log,
    plot_text,
    spread_labels,
)
from fitting.results import read_ends
from fitting.rows import StudyRow
from fitting.texts import DASH
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_flops, format_quantity

LABEL_GAP_PX, MOST_MOVED_PX = 13, 40
ROOM_RIGHT, ROOM_LEFT = 0.12, 0.05
CLIP_SPANS = 0.6  # untuned runs may rise this share of the tuned span above it; others are clipped
CELL_HOVER = (
    "%{customdata[1]}<br>N = %{customdata[2]}, D = %{customdata[3]}<br>loss %{y:.4g}, "
    "best of %{customdata[5]} LR: %{customdata[4]}<extra></extra>"
)
RUN_HOVER = (
    "%{customdata[1]}<br>N = %{customdata[2]}, LR %{customdata[3]}<br>"
    "loss %{customdata[4]}<extra>not the best LR</extra>"
)
VERTEX_HOVER = (
    "%{customdata[1]}<br>N* = %{customdata[2]}, D* = %{customdata[3]}<br>"
    "95 % interval of N*: %{customdata[4]}<extra></extra>"
)


@dataclass(frozen=True)
class Budget:
    """One budget with its cells and how it is drawn."""

    profile: ProfileDoc
    cells: Sequence[CellDoc]
    shade: float
    symbol: str

    @property
    def label(self) -> str:
        """Return "C = 3·10¹²"."""
        return f"C = {format_flops(self.profile['flops'])}"


def draw_isoflop(
    variant: ComputeVariantDoc | None, rows: Iterable[StudyRow], x_title: str
) -> dict[str, object]:
    """Return data, layout and counts of the figure."""
    if variant is None or not variant["cells"]:
        return {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
    budgets = list_budgets(variant)
    low, high = span_losses(budgets)
    others = find_others(variant, rows)
    shown = [row for row in others if row.loss <= high]
    data: list[Trace] = [*draw_others(shown, others, high), *draw_path(budgets)]
    for budget in budgets:
        data += draw_budget(budget)
    data += [trace for budget in budgets for trace in draw_vertex(budget)]
    sizes = [cell["n_params"] for cell in variant["cells"]]
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), max(sizes), ROOM_LEFT, ROOM_RIGHT), format_quantity),
        linear_axis("Final loss, nats per token", low, high),
        "isoflop",
        annotations=label_budgets(budgets, (low, high)),
    )
    n_seeds = sum(len(cell["run_ids"]) for cell in variant["cells"])
    return {
        "data": data,
        "layout": layout,
        "drawn": n_seeds + len(others),
        "clipped": len(others) - len(shown),
    }


def list_budgets(variant: ComputeVariantDoc) -> list[Budget]:
    """Return the budgets, ascending, shaded by compute."""
    profiles = variant["profiles"]
    shades = place_sizes([profile["flops"] for profile in profiles])
    return [
        Budget(
            profile,
            [cell for cell in variant["cells"] if cell["budget"] == profile["flops"]],
            shades[profile["flops"]],
            SYMBOLS[place % len(SYMBOLS)],
        )
        for place, profile in enumerate(profiles)
    ]


def span_losses(budgets: Sequence[Budget]) -> tuple[float, float]:
    """Return the range of heights: all cells and parabolas, with room for untuned runs."""
    losses = [cell["loss"] for budget in budgets for cell in budget.cells]
    losses += [y for budget in budgets for y in budget.profile["y"]]
    return pad_linear(min(losses), max(losses), 0.06, 0.06)


def find_others(variant: ComputeVariantDoc, rows: Iterable[StudyRow]) -> list[StudyRow]:
    """Return the finished healthy runs that are not the best of their cell."""
    best = {uid for cell in variant["cells"] for uid in cell["run_ids"]}
    return [
        row
        for row in rows
        if row.variant == variant["variant"]
        and row.has_compute
        and row.has_ended
        and not row.diverged
        and math.isfinite(row.loss)
        and row.uid not in best
    ]


def draw_others(
    shown: Sequence[StudyRow], all_rows: Sequence[StudyRow], high: float
) -> list[Trace]:
    """Return the runs at other learning rates: small and grey, those too high on the edge."""
    clipped = [row for row in all_rows if row not in shown]
    traces = []
    for part, group, symbol in (("untuned", shown, "circle"), ("above", clipped, "triangle-up")):
        if not group:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [row.n for row in group],
                "y": [min(row.loss, high) for row in group],
                "customdata": [
                    [
                        row.uid,
                        plot_text(row.name),
                        format_quantity(row.n),
                        format_lr(row.lr),
                        format_number(row.loss, 4),
                    ]
                    for row in group
                ],
                "hovertemplate": RUN_HOVER,
                "marker": {
                    "size": 4.5 if part == "untuned" else 7,
                    "symbol": symbol,
                    "color": ROLES["ink3"],
                    "opacity": 0.45,
                },
                "name": "other learning rates",
                "meta": {"tone": role_tone("ink3"), "part": part},
            }
        )
    return traces


def draw_path(budgets: Sequence[Budget]) -> list[Trace]:
    """Return the thin line through the vertices."""
    used = [budget.profile for budget in budgets if budget.profile["used"]]
    if len(used) < 2:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [profile["n_params"]["value"] for profile in used],
            "y": [profile["loss"] for profile in used],
            "line": {"color": ROLES["ink3"], "width": 1.2, "dash": "dot"},
            "hoverinfo": "skip",
            "name": "minima",
            "meta": {"tone": role_tone("ink3"), "part": "path"},
        }
    ]


def draw_budget(budget: Budget) -> list[Trace]:
    """Return parabola and cells; a budget without a vertex is hollow and has no line."""
    color, tone = color_size(budget.shade), size_tone(budget.shade)
    traces: list[Trace] = []
    if budget.profile["used"]:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": budget.profile["x"],
                "y": budget.profile["y"],
                "line": {"color": color, "width": 2, "shape": "spline"},
                "hoverinfo": "skip",
                "name": budget.label,
                "meta": {"tone": tone, "part": "fit"},
            }
        )
    is_open = not budget.profile["used"]
    casing = {"color": color if is_open else ROLES["panel"], "width": 1.6 if is_open else 1}
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [cell["n_params"] for cell in budget.cells],
            "y": [cell["loss"] for cell in budget.cells],
            "customdata": [describe_cell(budget, cell) for cell in budget.cells],
            "hovertemplate": CELL_HOVER,
            "marker": {
                "size": 7.5,
                "symbol": budget.symbol,
                "color": ROLES["panel"] if is_open else color,
                "line": casing,
            },
            "name": budget.label,
            "meta": {"tone": tone, "part": "hollow" if is_open else "cell"},
        }
    )
    return traces


def describe_cell(budget: Budget, cell: CellDoc) -> list[object]:
    """Return what the hover of a cell shows; the first member opens its run."""
    lr = decode_float(cell["lr"])
    return [
        cell["run_ids"][0],
        budget.label,
        format_quantity(cell["n_params"]),
        format_quantity(cell["n_tokens"]),
        format_lr(lr) if lr and math.isfinite(lr) else "not known",
        cell["n_lrs"],
    ]


def draw_vertex(budget: Budget) -> list[Trace]:
    """Return the ring at the vertex with its horizontal interval."""
    profile = budget.profile
    if not profile["used"]:
        return []
    n_star = decode([profile["n_params"]["value"]])[0]
    low, high = read_ends(profile["n_params"]["interval"])
    interval = f"{format_quantity(low)} {DASH} {format_quantity(high)}" if low and high else "none"
    color = color_size(budget.shade)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [n_star],
            "y": [profile["loss"]],
            "error_x": {**make_whiskers([n_star], [low], [high]), "color": color},
            "customdata": [
                [
                    "",
                    budget.label,
                    format_quantity(n_star),
                    format_quantity(decode([profile["n_tokens"]["value"]])[0]),
                    interval,
                ]
            ],
            "hovertemplate": VERTEX_HOVER,
            "marker": {
                "size": 14,
                "symbol": "circle-open",
                "color": color,
                "line": {"color": color, "width": 2.2},
            },
            "name": f"minimum of {budget.label}",
            "meta": {"tone": size_tone(budget.shade), "part": "ring"},
        }
    ]


def label_budgets(budgets: Sequence[Budget], span: tuple[float, float]) -> list[dict[str, object]]:
    """Return the label of each budget right of its largest size, moved apart where they touch.

    Where too many crowd, every second budget has one, or every third, and always the largest.
    """
    ends = [max(budget.cells, key=lambda cell: cell["n_params"]) for budget in budgets]
    height = LEAST_HEIGHT - MARGIN["t"] - MARGIN["b"]
    heights = [height * (cell["loss"] - span[0]) / (span[1] - span[0]) for cell in ends]
    step = next(step for step in range(1, len(ends) + 1) if _have_room(heights, step, height))
    first = (len(ends) - 1) % step
    budgets, ends, wanted = budgets[first::step], ends[first::step], heights[first::step]
    places = spread_labels(wanted, LABEL_GAP_PX)
    return [
        {
            "x": math.log10(cell["n_params"]),
            "y": cell["loss"],
            "text": plot_text(budget.label),
            "xanchor": "left",
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": ROLES["line"],
            "ax": 14,
            "ay": want - place,
            "standoff": 6,
            "font": {"size": 11.5, "color": ROLES["ink2"]},
        }
        for budget, cell, want, place in zip(budgets, ends, wanted, places, strict=True)
    ]


def _have_room(heights: Sequence[float], step: int, height: float) -> bool:
    """Say whether every `step`-th label stands within the frame and near what it names."""
    wanted = heights[(len(heights) - 1) % step :: step]
    places = spread_labels(wanted, LABEL_GAP_PX)
    near = (abs(place - want) <= MOST_MOVED_PX for place, want in zip(places, wanted, strict=True))
    is_inside = min(places) >= LABEL_GAP_PX / 2 and max(places) <= height - LABEL_GAP_PX / 2
    return len(wanted) == 1 or (is_inside and all(near))
