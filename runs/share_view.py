"""Share links of a state of the runs table, the curves explorer or a comparison, live or copied.

What is shared is fixed when the link is made: filter, columns, metrics, colours. The query of a
reader only narrows it: scales, zoom, smoothing, fewer runs, another page of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from django.http import QueryDict

from runs import share_compare, share_curves, share_table
from runs.explore import ExploreWish
from runs.explore_runs import choose_runs
from runs.models import Run, SavedView, ViewPage
from runs.saved_views import canonise
from runs.table import TableQuery
from scaledash.lib.urlstate import join_list
from teams import sharing
from teams.models import Project, Share
from teams.principals import Principal


class Room(Protocol):
    """What a page does for links to it: the methods of a ShareKind, as functions."""

    def build_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None: ...
    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None: ...
    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]: ...
    def build_frozen_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None: ...
    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None: ...


ROOMS: dict[str, Room] = {
    ViewPage.RUNS: share_table,
    ViewPage.EXPLORE: share_curves,
    ViewPage.COMPARE: share_compare.ComparisonShare(),
}


class ViewShare:
    """Links to what a page shows in one state."""

    name = "view"
    takes: tuple[str, ...] = ()

    def choose(
        self, principal: Principal, project: Project, query: QueryDict
    ) -> sharing.Subject | None:
        """Return a saved view by its id, or the state that `runs?f=...`, `explore?m=...` names."""
        text = query.get("id", "")
        if text.isascii() and text.isdigit():
            views = SavedView.objects.visible_to(principal).filter(project=project)
            view = views.filter(pk=int(text)).first() if len(text) < 19 else None
            if view is None:
                return None
            page, state, title = view.page, view.query, view.name
        else:
            page, _, state = text.partition("?")
            title = ""
        if page not in ROOMS:
            return None
        if page == ViewPage.COMPARE:
            return fix_runs(principal, project, state, title)
        return fix_state(project, page, canonise(page, state), title)

    def build_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the page as it is now."""
        return ROOMS[share.subject["page"]].build_page(share, query)

    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the document of the page, its curves, or its revision."""
        return ROOMS[share.subject["page"]].read_part(share, part, query)

    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]:
        """Copy all that the page shows."""
        return ROOMS[share.subject["page"]].freeze(share)

    def build_frozen_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the page as it was."""
        return ROOMS[share.subject["page"]].build_frozen_page(share, query)

    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the document of the page, or its curves, as they were."""
        return ROOMS[share.subject["page"]].read_frozen_part(share, part, query)


def fix_runs(
    principal: Principal, project: Project, state: str, title: str
) -> sharing.Subject | None:
    """Return a comparison of the runs that the state names, as they are chosen now."""
    visible = Run.objects.visible_to(principal).filter(project=project)
    found = share_compare.choose_runs(visible, QueryDict(state).get("sel", ""), title)
    return found and replace(found, fields={**found.fields, "page": ViewPage.COMPARE.value})


def fix_state(project: Project, page: str, state: str, title: str) -> sharing.Subject | None:
    """Write out what the state leaves open, so that it can never come to mean more."""
    query = QueryDict(state, mutable=True)
    if page == ViewPage.RUNS:
        query["cols"] = join_list(TableQuery.read(query).keys)
        title = title or "Runs"
    else:
        wish = ExploreWish.read(query)
        metrics = choose_runs(project, wish).metrics
        if not metrics:
            return None
        query["m"] = join_list(metrics)
        title = title or f"Curves of {', '.join(metrics)}"[:200]
    return sharing.Subject({"page": page, "query": canonise(page, query.urlencode())}, title)
