"""Share links of one run: its page with its curves, live or copied."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse

from runs import contexts
from runs.curves import OF_STEPS, CurvesWish, build_chart, build_curves
from runs.events import collect_marks, collect_panels, list_remarks, sort_events
from runs.facts import PRIVATE, leave_private_out
from runs.models import Metric, Run, RunState
from runs.points import NO_POINTS, Series
from runs.revisions import read_run_revision
from runs.step_metrics import STEP, read_step_metrics
from runs.store import read_points
from teams import sharing
from teams.models import Project, Share
from teams.principals import Principal
from teams.sealing import seal_html, seal_json

PAGE, TWIN, CURVES = "page", "page.json", "curves.json"


class RunShare:
    """Links to one run."""

    name = "run"
    takes = (sharing.NOTES, sharing.COMMENTS)

    def choose(
        self, principal: Principal, project: Project, query: QueryDict
    ) -> sharing.Subject | None:
        """Return the run of this id in the project."""
        visible = Run.objects.visible_to(principal).filter(project=project)
        run = visible.filter(uid=query.get("id", "")).first()
        if run is None:
            return None
        return sharing.Subject({"run": run.pk, "uid": run.uid}, run.name or run.uid)

    def build_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the run's page as it is now."""
        run = find_run(share)
        if run is None:
            return None
        rev = read_run_revision(run)["rev"]
        return sharing.SharedPage(render_run(run, share), rev, run.state == RunState.RUNNING)

    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the run's document, some of its curves, or its revision."""
        run = find_run(share)
        if run is None:
            return None
        if part == "rev.json":
            return read_run_revision(run)
        if part == CURVES:
            return build_curves(run, CurvesWish.read(query), read_run_revision(run)["rev"])
        return build_document(run) if part == TWIN else None

    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]:
        """Copy the page, the document and every point of every metric."""
        run = find_run(share)
        assert run is not None  # it has just been chosen
        step = "no step yet" if run.last_step is None else f"step {run.last_step:,}"
        return step, list_documents(run, share)

    def build_frozen_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the run's page as it was."""
        html = sharing.load_document(share, PAGE)
        return None if html is None else sharing.SharedPage(html.decode())

    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the run's document, or some of its curves, as they were."""
        if part == TWIN:
            return sharing.load_json(share, TWIN)
        if part != CURVES:
            return None
        wish, run = CurvesWish.read(query), Run(uid=share.subject["uid"])
        found = {
            metric: sharing.load_document(share, name_series(metric)) for metric in wish.metrics
        }
        wish = replace(wish, x_axis=STEP)  # the clock and the counts of tokens are not copied
        charts = [
            {
                "metric": metric,
                "rev": "",
                **build_chart(run, {"": unpack_series(body)}, wish, OF_STEPS),
            }
            for metric, body in found.items()
            if body is not None
        ]
        return {"rev": "", "charts": charts}


def find_run(share: Share) -> Run | None:
    """Return the shared run without what a link never shows: project, host, origin, notes."""
    runs = Run.objects.filter(project=share.project_id, deleted_at=None)
    run = runs.filter(pk=share.subject["run"]).first()
    if run is None:
        return None
    run.project = sharing.hide_project(share.project)
    run.host, run.parent = {}, None
    run.config = hide_private(run.config)
    run.outcome_evidence = hide_author(run.outcome_evidence)
    if not share.with_notes:
        run.notes = ""
    return run


def hide_private(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config with marks and step metrics alone of what the client keeps: no traceback."""
    kept = config.get(PRIVATE)
    marks = kept.get("marks") if isinstance(kept, Mapping) else None
    axes = {name: {"step_metric": axis} for name, axis in read_step_metrics(config).items()}
    shown = {name: part for name, part in (("marks", marks), ("metrics", axes)) if part}
    return {**leave_private_out(config), **({PRIVATE: shown} if shown else {})}


def hide_author(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evidence of an outcome without who set it by hand."""
    override = evidence.get("override")
    if override is None:
        return dict(evidence)
    sentence = f"Set to {override['outcome']} by hand: {override['reason']}."
    shown = {name: override[name] for name in ("outcome", "reason")}
    return {"override": {**shown, "by": "a member"}, "sentence": sentence}


def build_document(run: Run) -> Mapping[str, object]:
    """Return the document of a run's page, without addresses of the project."""
    return dict(seal_json(contexts.build_run(run)))


def render_run(run: Run, share: Share) -> str:
    """Return the content of a run's page with addresses below the link."""
    document = contexts.build_run(run)
    panels = collect_panels(run, is_shared=True)
    remarks = list_remarks(run, is_shared=True) if share.with_comments else []
    events = sort_events([*document["events"], *collect_marks(panels), *remarks])
    context = {
        **document,
        **contexts.build_run_page(run, {**document, "events": events}),
        **({"x_axes": [], "may_show_superseded": False} if share.is_frozen else {}),
        "snippet": "",
        "traceback": "",
        "project": run.project,
        "panels": panels,
        "page_base": "teams/share_content.html",
    }
    place = [run.project.slug, run.uid]
    served = {
        reverse("run", args=place): "",
        reverse("run-json", args=place): TWIN,
        reverse("run-curves", args=place): CURVES,
    }
    return seal_html(render_to_string("runs/run.html", context), served)


def list_documents(run: Run, share: Share) -> Iterable[tuple[str, bytes]]:
    """Return all that a frozen link answers with."""
    yield PAGE, render_run(run, share).encode()
    yield TWIN, sharing.dump_json(build_document(run))
    metrics = Metric.objects.filter(project=run.project_id, name__in=list(run.summary))
    for pk, name in metrics.values_list("pk", "name"):
        series = read_points([run.pk], [pk]).get((run.pk, pk), NO_POINTS)
        yield name_series(name), pack_series(series)


def name_series(metric: str) -> str:
    """Return the name of the document that holds the points of a metric."""
    return f"series/{metric}"


def pack_series(series: Series) -> bytes:
    """Return the points of a series as they are copied."""
    buffer = io.BytesIO()
    counts = np.array([series.superseded, series.repeated, series.overwritten], dtype=np.int64)
    np.savez(buffer, steps=series.steps, values=series.values, counts=counts)
    return buffer.getvalue()


def unpack_series(body: bytes) -> Series:
    """Return the points that pack_series copied."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return Series(arrays["steps"], arrays["values"], *arrays["counts"].tolist())
