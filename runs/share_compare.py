"""Share links of runs side by side: their page of comparison, live or copied."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.http import QueryDict
from django.template.loader import render_to_string

from runs.comparison import MAX_RUNS, build_comparison, group_lines
from runs.models import Run
from runs.share_live import describe_rev
from scaledash.lib.urlstate import split_list
from teams import sharing
from teams.models import Project, Share
from teams.principals import Principal
from teams.sealing import seal_html, seal_json

PAGE, TWIN, REV = "page", "page.json", "rev.json"


class ComparisonShare:
    """Links to two or more runs side by side."""

    name = "comparison"
    takes: tuple[str, ...] = ()

    def choose(
        self, principal: Principal, project: Project, query: QueryDict
    ) -> sharing.Subject | None:
        """Return the runs of a comma list of ids; None where one of them is not there."""
        visible = Run.objects.visible_to(principal).filter(project=project)
        return choose_runs(visible, query.get("id", ""))

    def build_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the comparison as it is now; runs deleted since are left out."""
        runs = find_runs(share)
        if not runs:
            return None
        rev = describe_rev(runs)["rev"]
        is_active = any(run.state == "running" for run in runs)
        return sharing.SharedPage(render(share, runs), str(rev), is_active)

    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the document of the comparison, or its revision."""
        runs = find_runs(share)
        if not runs:
            return None
        if part == REV:
            return describe_rev(runs)
        return build_document(share, runs) if part == TWIN else None

    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]:
        """Copy the page and its document."""
        runs = find_runs(share)
        documents = [
            (PAGE, render(share, runs).encode()),
            (TWIN, sharing.dump_json(build_document(share, runs))),
        ]
        return f"{len(runs)} runs", documents

    def build_frozen_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the comparison as it was."""
        html = sharing.load_document(share, PAGE)
        return None if html is None else sharing.SharedPage(html.decode())

    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the document of the comparison as it was."""
        return sharing.load_json(share, TWIN) if part == TWIN else None


def choose_runs(visible: QuerySet[Run], uids: str, title: str = "") -> sharing.Subject | None:
    """Fix the runs of a comma list of ids; None where one of them is not there."""
    wanted = list(dict.fromkeys(split_list(uids)))[: MAX_RUNS + 1]
    known = {run.uid: run for run in visible.filter(uid__in=wanted).only("uid", "name")}
    if not 2 <= len(wanted) <= MAX_RUNS or len(known) < len(wanted):
        return None
    names = ", ".join(known[uid].name or uid for uid in wanted)
    title = title or f"Comparison of {len(wanted)} runs: {names}"[:200]
    return sharing.Subject({"runs": [known[uid].pk for uid in wanted]}, title)


def find_runs(share: Share) -> list[Run]:
    """Return the shared runs in the order in which they were chosen."""
    wanted = share.subject["runs"]
    live = Run.objects.filter(project=share.project_id, deleted_at=None)
    known = live.defer("host", "notes").in_bulk(wanted)
    return [known[pk] for pk in wanted if pk in known]


def build_document(share: Share, runs: list[Run]) -> dict[str, object]:
    """Return the document of the comparison, without addresses of the project."""
    document = build_comparison(sharing.hide_project(share.project), runs, [])
    return dict(seal_json(document))


def render(share: Share, runs: list[Run]) -> str:
    """Return the content of the page."""
    document = build_document(share, runs)
    context = {
        **document,
        **group_lines(document),
        "project": sharing.hide_project(share.project),
        "page_base": "teams/share_content.html",
    }
    return seal_html(render_to_string("runs/compare.html", context), {})
