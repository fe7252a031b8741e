"""The curves explorer behind a share link: the curves now, or every point as it was."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse

from runs.charts import TooMuch, read_plain
from runs.explore import ExploreWish
from runs.explore_charts import build_charts, draw_charts, settle_axis
from runs.explore_keys import Channel, Level
from runs.explore_lines import Line, Look, build_look
from runs.explore_page import build_explore_page, describe
from runs.explore_runs import Chosen, choose_runs
from runs.models import Run
from runs.series import Curve
from runs.share_live import describe_rev
from runs.step_metrics import STEP
from teams import sharing
from teams.models import Share
from teams.sealing import seal_html, seal_json

PAGE, TWIN, REV, CURVES, LOOK = "page", "page.json", "rev.json", "curves.json", "look"
READERS_KEYS = ("xs", "ys", "xr", "sm")  # how what is there is drawn
HIDDEN = ("offered", "n_runs", "filter", "error", "project")  # what lies outside the view
Document = dict[str, Any]


def build_page(share: Share, query: QueryDict) -> sharing.SharedPage:
    """Return the page with the runs that the view comes to now."""
    wish = read_wish(share, query)
    chosen = choose_runs(share.project, wish, is_page=False)
    is_active = any(run.state == "running" for run in chosen.drawn)
    return sharing.SharedPage(render(share, wish), str(read_rev(chosen)["rev"]), is_active)


def read_part(share: Share, part: str, query: QueryDict) -> object | None:
    """Return the curves of one metric, the document of the page, or its revision."""
    if part not in (CURVES, TWIN, REV):
        return None
    wish = read_wish(share, query)
    chosen = choose_runs(share.project, wish, is_page=part == TWIN)
    if part == REV:
        return read_rev(chosen)
    if part == TWIN:
        return describe_view(share, wish, chosen)
    metric = query.get("metric", "")
    runs = chosen.drawn if metric in chosen.metrics else []
    try:
        document = build_charts(runs, wish, build_look(runs, wish), metric)
    except TooMuch:
        return None
    return {**document, "n_logging": chosen.n_logging}


def read_wish(share: Share, query: QueryDict) -> ExploreWish:
    """Return what is drawn: the view as it was fixed, on the scales of the reader."""
    fixed = QueryDict(share.subject["query"], mutable=True)
    for key in READERS_KEYS:
        if key in query:
            fixed[key] = str(query[key])
    return ExploreWish.read(fixed)


def read_rev(chosen: Chosen) -> dict[str, object]:
    """Return a revision of the runs that are drawn."""
    return describe_rev(chosen.drawn, chosen.n_logging)


def describe_view(share: Share, wish: ExploreWish, chosen: Chosen) -> object:
    """Return the document of the page without what lies outside the view."""
    look = build_look(chosen.drawn, wish)
    document = describe(sharing.hide_project(share.project), wish, chosen, look)
    return seal_json({key: value for key, value in document.items() if key not in HIDDEN})


def render(share: Share, wish: ExploreWish) -> str:
    """Return the content of the page, its curves read from below the link."""
    project = sharing.hide_project(share.project)
    context = {
        **build_explore_page(project, wish, QueryDict()),
        "all_url": "",
        "fewer_url": "",
        "is_shared": True,
        "fixed": share.subject["query"],
        "project": project,
        "page_base": "teams/share_content.html",
    }
    html = render_to_string("runs/shared_explore.html", context)
    return seal_html(html, {reverse("explore-curves", args=[project.slug]): CURVES})


def freeze(share: Share) -> tuple[str, Iterator[tuple[str, bytes]]]:
    """Copy the page, its document and every point of every curve."""
    wish = ExploreWish.read(QueryDict(share.subject["query"]))
    chosen = choose_runs(share.project, wish)
    plural = "" if len(chosen.drawn) == 1 else "s"
    return f"{len(chosen.drawn):,} run{plural}", list_documents(share, wish, chosen)


def list_documents(share: Share, wish: ExploreWish, chosen: Chosen) -> Iterator[tuple[str, bytes]]:
    """Return all that a frozen link answers with."""
    look = build_look(chosen.drawn, wish)
    yield PAGE, render(share, wish).encode()
    yield TWIN, sharing.dump_json(describe_view(share, wish, chosen))
    axes = {name: settle_axis(wish, chosen.drawn, name).x_axis for name in chosen.metrics}
    yield LOOK, sharing.dump_json({**pack_look(look, chosen), "axes": axes})
    for metric, axis in axes.items():
        yield name_points(metric), pack_points(*read_plain(chosen.drawn, metric, axis))


def build_frozen_page(share: Share, query: QueryDict) -> sharing.SharedPage | None:
    """Return the page as it was."""
    html = sharing.load_document(share, PAGE)
    return None if html is None else sharing.SharedPage(html.decode())


def read_frozen_part(share: Share, part: str, query: QueryDict) -> object | None:
    """Return the curves of one metric on the reader's scales, or the document, as they were."""
    if part == TWIN:
        return sharing.load_json(share, TWIN)
    metric = query.get("metric", "")
    body = sharing.load_document(share, name_points(metric)) if part == CURVES else None
    if body is None:
        return {"metric": metric, "charts": []} if part == CURVES else None
    kept: Any = sharing.load_json(share, LOOK)
    look = unpack_look(kept)
    n_runs = sum(len(line.runs) for line in look.lines)
    wish = read_wish(share, query)
    axis = kept.get("axes", {}).get(metric)  # links of before have one for all
    wish = replace(wish, x_axis=axis or wish.x_axis or STEP)
    document = draw_charts(unpack_points(body), n_runs, wish, look, metric)
    return {**document, "n_logging": kept["n_logging"]}


def pack_look(look: Look, chosen: Chosen) -> Document:
    """Return how the curves look and which runs they stand for."""
    return {
        "n_logging": chosen.n_logging,
        "facets": look.facets,
        "lines": [
            {
                "key": line.key,
                "label": line.label,
                "facet": line.facet,
                "tone": line.tone,
                "dash": line.dash,
                "runs": [[run.uid, run.outcome] for run in line.runs],
            }
            for line in look.lines
        ],
    }


def unpack_look(kept: Document) -> Look:
    """Return what pack_look kept."""
    lines = []
    for item in kept["lines"]:
        runs = tuple(Run(uid=uid, outcome=outcome) for uid, outcome in item["runs"])
        lines.append(Line(**{**item, "runs": runs}))
    facets = tuple(Level(text, 0) for text in kept["facets"])
    return Look(tuple(lines), Channel(), Channel(), Channel(levels=facets))


def name_points(metric: str) -> str:
    """Return the name of the document that holds the points of a metric."""
    return f"points/{metric}"


def pack_points(curves: Mapping[str, Curve], without: list[str]) -> bytes:
    """Return the points of many curves as they are copied."""
    head = [[uid, c.x.size, c.overwritten, c.superseded] for uid, c in curves.items()]
    text = json.dumps([head, without]).encode()
    empty = [np.empty(0)]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        head=np.frombuffer(text, dtype=np.uint8),
        x=np.concatenate([*(c.x for c in curves.values()), *empty]),
        y=np.concatenate([*(c.y for c in curves.values()), *empty]),
    )
    return buffer.getvalue()


def unpack_points(body: bytes) -> tuple[dict[str, Curve], list[str]]:
    """Return the points that pack_points copied."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["y"]
        head, without = json.loads(arrays["head"].tobytes())
    curves, start = {}, 0
    for uid, size, overwritten, superseded in head:
        place = slice(start, start + size)
        curves[uid] = Curve(x[place], y[place], overwritten, superseded)
        start += size
    return curves, without
