"""Small multiples: panels that share both axes, in a grid; a narrow page stacks them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from fitting.palette import ROLES
from fitting.plots.frame import Axis, Trace, make_layout

COLUMNS = 3
GAP_X, GAP_Y = 0.02, 0.11  # of the figure, between panels; a title stands in the gap above each


@dataclass(frozen=True)
class Panel:
    """One panel: its title, and traces that name no axes yet."""

    title: str
    traces: Sequence[Trace]


def place_panels(
    panels: Sequence[Panel],
    axes: tuple[Axis, Axis],
    uirevision: str,
    shapes: Sequence[dict[str, object]] = (),
    notes: Sequence[dict[str, object]] = (),
    n_legend: int = 0,
) -> tuple[list[Trace], dict[str, object]]:
    """Return the traces with their axes, and the layout.

    Parameters
    ----------
    axes : of the first panel; the others follow its zoom
    shapes, notes : at heights of the y axis; shapes stand in every panel, notes in the first
    n_legend : entries of the legend above the panels
    """
    n_columns = min(COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    layout = make_layout(*axes, uirevision, n_legend=n_legend)
    data: list[Trace] = []
    drawn: list[dict[str, object]] = []
    titles: list[dict[str, object]] = []
    for place, panel in enumerate(panels):
        row, column = divmod(place, n_columns)
        end = "" if place == 0 else str(place + 1)
        is_lowest = place + n_columns >= len(panels)
        x, y = copy.deepcopy(axes[0]), copy.deepcopy(axes[1])
        x |= {"domain": _span(column, n_columns, GAP_X), "anchor": f"y{end}"}
        y |= {"domain": _span(n_rows - 1 - row, n_rows, GAP_Y, 1 - GAP_Y / 2), "anchor": f"x{end}"}
        if place:
            x["matches"], y["matches"] = "x", "y"
        if not is_lowest:
            x |= {"showticklabels": False, "title": {"text": ""}}
        if column:
            y |= {"showticklabels": False, "title": {"text": ""}}
        layout[f"xaxis{end}"], layout[f"yaxis{end}"] = x, y
        data += [{**trace, "xaxis": f"x{end}", "yaxis": f"y{end}"} for trace in panel.traces]
        drawn += [{**shape, "xref": f"x{end} domain", "yref": f"y{end}"} for shape in shapes]
        titles.append(_write_title(panel.title, end))
    layout["shapes"] = drawn
    layout["annotations"] = [*titles, *({**note, "xref": "x domain"} for note in notes)]
    layout["meta"] = {"panels": len(panels), "rows": n_rows}
    return data, layout


def _span(place: int, n: int, gap: float, top: float = 1.0) -> list[float]:
    size = (top - gap * (n - 1)) / n
    start = place * (size + gap)
    return [round(start, 4), round(start + size, 4)]


def _write_title(text: str, end: str) -> dict[str, object]:
    return {
        "xref": f"x{end} domain",
        "yref": f"y{end} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "text": text,
        "font": {"size": 12, "color": ROLES["ink"]},
    }
