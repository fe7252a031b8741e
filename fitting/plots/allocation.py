"""P7: compute-optimal size, tokens and their ratio against compute, one pane each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fitting.compute_results import (
    APPROACHES,
    ISOFLOP,
    ComputeVariantDoc,
    decode,
    list_frontiers,
    name_approach,
)
from fitting.palette import ROLES, add_alpha, category_tone, color_category, role_tone
from fitting.plots.frame import (
    Trace,
    format_number,
    log_axis,
    make_layout,
    make_legend,
    make_whiskers,
    pad_log,
)
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.results import read_ends
from fitting.texts import DASH
from scaledash.lib.units import format_flops, format_quantity

PAPERS = "papers"  # the option that adds the laws of papers
PF_DAY = 8.64e19  # FLOPs
CROWDED = 2  # more lines than these, and their bands are fainter
HOVER = (
    "C = %{customdata[1]}<br>%{customdata[2]} = %{customdata[3]}<br>"
    "95 % interval %{customdata[4]}<extra>isoFLOP minimum</extra>"
)


@dataclass(frozen=True)
class Pane:
    """What one pane shows: a quantity of the frontiers, its title and that of its axis."""

    quantity: str
    symbol: str
    title: str
    axis: str


PANES = {
    "optimal_params": Pane("n_params", "N*", "Compute-optimal size", "N*, parameters"),
    "optimal_tokens": Pane("n_tokens", "D*", "Compute-optimal data", "D*, tokens"),
    "tokens_per_param": Pane("tokens_per_parameter", "D*/N*", "Tokens per parameter", "D*/N*"),
}


@dataclass(frozen=True)
class Reference:
    """An allocation that a paper published: N* = scale (C / unit)^exponent, D* = C / 6N*."""

    name: str
    scale: float
    unit: float
    exponent: float
    dash: str

    def read(self, quantity: str, flops: float) -> float:
        """Return N*, D* or D*/N* at a budget."""
        size = self.scale * (flops / self.unit) ** self.exponent
        tokens = flops / (6 * size)
        return {"n_params": size, "n_tokens": tokens}.get(quantity, tokens / size)


REFERENCES = (
    # Hoffmann et al. 2022, table 3: 20 tokens a parameter at every size.
    Reference("Hoffmann et al. 2022", 1.0, 120.0, 0.5, "dashdot"),
    # Kaplan et al. 2020, table 6: N = 1.3e9 C^0.73, C in PF-days, N without embedding.
    Reference("Kaplan et al. 2020", 1.3e9, PF_DAY, 0.73, "dot"),
)


def place_approach(slug: str) -> int:
    """Return the colour of an approach: the same in every figure of every study."""
    return list(APPROACHES).index(slug)


def draw_allocation(
    variant: ComputeVariantDoc | None, name: str, has_references: bool = False
) -> dict[str, object]:
    """Return data, layout and counts of one pane, with the laws of papers if asked for."""
    frontiers = list_frontiers(variant) if variant else []
    if variant is None or not frontiers:
        return {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
    pane = PANES[name]
    data: list[Trace] = []
    for frontier in frontiers:
        place = place_approach(frontier["approach"])
        band = dict(frontier)[pane.quantity]
        assert isinstance(band, dict)
        line = Line(
            frontier["flops"],
            *(decode(band[key]) for key in ("value", "low", "high")),
            frontier["extrapolated"],
        )
        style = LineStyle(
            color_category(place),
            category_tone(place),
            name_approach(frontier["approach"]),
            in_legend=True,
            is_crowded=len(frontiers) > CROWDED,
        )
        data += draw_line(line, style)
    points = draw_minima(variant, pane)
    data += points
    flops = frontiers[0]["flops"]
    references = REFERENCES if has_references else ()
    data += [draw_reference(reference, pane, flops) for reference in references]
    values = [y for trace in data if trace["mode"] != "none" for y in trace["y"]]
    layout = make_layout(
        log_axis("Compute C, FLOPs", *pad_log(flops[0], flops[-1], 0.03, 0.02), format_flops),
        log_axis(pane.axis, *pad_log(min(values), max(values), 0.06, 0.06), format_quantity),
        name,
        [label_reference(reference, pane, flops[-1]) for reference in references],
    )
    # The table beside the figure is the legend; on paper, where it is missing, there is one.
    layout |= {"legend": make_legend()}
    return {"data": data, "layout": layout, "drawn": len(points), "clipped": 0}


def draw_reference(reference: Reference, pane: Pane, flops: Sequence[float]) -> Trace:
    """Return the line of a paper: grey, and in another dash than any law of the study."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(flops),
        "y": [reference.read(pane.quantity, budget) for budget in flops],
        "line": {"color": ROLES["ink3"], "width": 1.6, "dash": reference.dash},
        "hovertemplate": f"{pane.symbol} = %{{y:.3g}}<extra>{reference.name}</extra>",
        "showlegend": True,
        "name": reference.name,
        "meta": {"tone": role_tone("ink3"), "part": "reference"},
    }


def label_reference(reference: Reference, pane: Pane, flops: float) -> dict[str, object]:
    """Return the name of a paper at the right end of its line."""
    return {
        "x": math.log10(flops),
        "y": math.log10(reference.read(pane.quantity, flops)),
        "xanchor": "right",
        "yanchor": "bottom",
        "showarrow": False,
        "text": reference.name,
        "font": {"size": 10.5, "color": ROLES["ink2"]},
        "bgcolor": add_alpha(ROLES["panel"], 0.7),
    }


def draw_minima(variant: ComputeVariantDoc, pane: Pane) -> list[Trace]:
    """Return the isoFLOP minima behind approach 2, with their intervals."""
    if ISOFLOP not in [item["approach"] for item in variant["frontiers"]]:
        return []
    place = place_approach(ISOFLOP)
    used = [profile for profile in variant["profiles"] if profile["used"]]
    points = []
    for profile in used:
        n, d = (decode([profile[key]["value"]])[0] for key in ("n_params", "n_tokens"))
        if pane.quantity == "tokens_per_parameter":
            points.append((profile["flops"], d / n, None, None))
        else:
            estimate = profile["n_params"] if pane.quantity == "n_params" else profile["n_tokens"]
            value = n if pane.quantity == "n_params" else d
            points.append((profile["flops"], value, *read_ends(estimate["interval"])))
    color = color_category(place)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [x for x, *_ in points],
            "y": [y for _, y, _, _ in points],
            "error_y": {
                **make_whiskers(
                    [y for _, y, _, _ in points],
                    [low for *_, low, _ in points],
                    [high for *_, high in points],
                ),
                "color": color,
            },
            "customdata": [
                ["", format_flops(x), pane.symbol, format_quantity(y), _write_ends(low, high)]
                for x, y, low, high in points
            ],
            "hovertemplate": HOVER,
            "marker": {
                "size": 8,
                "symbol": "circle",
                "color": color,
                "line": {"color": ROLES["panel"], "width": 1},
            },
            "showlegend": False,
            "name": "isoFLOP minima",
            "meta": {"tone": category_tone(place), "part": "optimum"},
        }
    ]


def _write_ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "none"
    return f"{format_number(low)} {DASH} {format_number(high)}"
