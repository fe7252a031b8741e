"""The curves of one run, as the charts of its page read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from django.http import QueryDict

from runs.models import Metric, Run
from runs.series import Curve, View, build_payload
from runs.store import NO_POINTS, Series, read_points

MAX_CHARTS = 50
BUCKETS = 500  # a chart of the run page is at most about as wide


@dataclass(frozen=True)
class CurvesWish:
    """Which metrics, on which axes, in which window of x."""

    metrics: tuple[str, ...]
    view: View

    @classmethod
    def read(cls, query: QueryDict) -> CurvesWish:
        """Read the keys m, xs, ys and xr of a page's address; what makes no sense is ignored."""
        return cls(
            metrics=tuple(dict.fromkeys(query.getlist("m")))[:MAX_CHARTS],
            view=View(
                x_scale="log" if query.get("xs") == "log" else "lin",
                y_scale="log" if query.get("ys") == "log" else "lin",
                window=_read_window(query.get("xr", "")),
                pixels=BUCKETS,
            ),
        )


def _read_window(text: str) -> tuple[float, float] | None:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (low, high) if math.isfinite(low) and low < high < math.inf else None


def build_curves(run: Run, wish: CurvesWish, rev: str) -> dict[str, object]:
    """Return one payload for each metric that the run has logged."""
    wanted = [metric for metric in wish.metrics if metric in run.summary]
    metrics = Metric.objects.filter(project=run.project_id, name__in=wanted)
    names = dict(metrics.values_list("pk", "name"))
    found = read_points([run.pk], list(names))
    series = {names[metric]: points for (_, metric), points in found.items()}
    charts = [
        {"metric": metric, "rev": rev, **build_chart(run, series.get(metric, NO_POINTS), wish)}
        for metric in wanted
    ]
    return {"rev": rev, "charts": charts}


def build_chart(run: Run, series: Series, wish: CurvesWish) -> dict[str, object]:
    """Return the payload of one chart with one curve."""
    curve = Curve(
        series.steps.astype(np.float64), series.values, series.overwritten, series.superseded
    )
    return build_payload({run.uid: curve}, wish.view, "step")
