"""The runs table behind a share link: a page of rows now, or all pages as they were."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet
from django.http import QueryDict
from django.template.loader import render_to_string

from runs.models import Run
from runs.share_live import describe_rev
from runs.table import PAGE_SIZE, RunsPage, TableQuery, narrow_table
from runs.table_page import build_runs, build_runs_page, read_runs_page
from teams import sharing
from teams.models import Share
from teams.sealing import seal_html, seal_json
from teams.services import Refused

TWIN, REV = "page.json", "rev.json"
MAX_FROZEN_PAGES = 50
NARROWING = ("p", "open")  # what a reader's query may say, beside the order by a column shown


def build_page(share: Share, query: QueryDict) -> sharing.SharedPage:
    """Return the rows as they are now."""
    page, params = read_page(share, query)
    html, is_active = render(share, page, params)
    return sharing.SharedPage(html, str(read_rev(share)["rev"]), is_active)


def read_part(share: Share, part: str, query: QueryDict) -> object | None:
    """Return the document of the rows, or their revision."""
    if part == REV:
        return read_rev(share)
    return describe(share, read_page(share, query)[0]) if part == TWIN else None


def freeze(share: Share) -> tuple[str, Iterator[tuple[str, bytes]]]:
    """Copy every page of rows in the order of the view."""
    page, _ = read_page(share, QueryDict())
    n_pages = count_pages(page)
    if n_pages > MAX_FROZEN_PAGES:
        message = (
            f"A frozen table copies {MAX_FROZEN_PAGES} pages of runs at most and this one has "
            f"{n_pages}; narrow the filter or share it live."
        )
        raise Refused("too_large", message)
    return f"{page.total:,} runs", list_documents(share, n_pages)


def build_frozen_page(share: Share, query: QueryDict) -> sharing.SharedPage | None:
    """Return a page of rows as it was."""
    html = sharing.load_document(share, name_page(query.get("p", "1")))
    html = html or sharing.load_document(share, name_page("1"))
    return None if html is None else sharing.SharedPage(html.decode())


def read_frozen_part(share: Share, part: str, query: QueryDict) -> object | None:
    """Return the document of a page of rows as it was."""
    if part != TWIN:
        return None
    found = sharing.load_json(share, name_twin(query.get("p", "1")))
    return found or sharing.load_json(share, name_twin("1"))


def read_page(share: Share, query: QueryDict) -> tuple[RunsPage, QueryDict]:
    """Return the rows that the link shows, and the query that stands for them."""
    fixed = QueryDict(share.subject["query"], mutable=True)
    shown = TableQuery.read(fixed).keys
    for key in NARROWING:
        if query.get(key):
            fixed[key] = str(query[key])
    if query.get("s", "").removeprefix("-") in shown:
        fixed["s"] = str(query["s"])
    wish = TableQuery.read(fixed)
    return read_runs_page(sharing.hide_project(share.project), list_runs(share), wish), fixed


def list_runs(share: Share) -> QuerySet[Run]:
    """Return the runs of the project; the view's filter narrows them."""
    return Run.objects.filter(project=share.project_id, deleted_at=None)


def read_rev(share: Share) -> dict[str, object]:
    """Return a revision of the runs that the view is about."""
    wish = TableQuery.read(QueryDict(share.subject["query"]))
    runs = narrow_table(list_runs(share), wish).order_by("pk").only("rev", "changed_at")
    return describe_rev(runs)


def describe(share: Share, page: RunsPage) -> object:
    """Return the document of the rows, without what lies outside the view."""
    document = build_runs(page)
    hidden = ("all_runs", "n_archived")  # numbers of the project
    return seal_json({key: value for key, value in document.items() if key not in hidden})


def render(share: Share, page: RunsPage, params: QueryDict) -> tuple[str, bool]:
    """Return the content of the page, and whether one of its runs is running."""
    shown = build_runs_page(page, strip(params))
    context = {
        **build_runs(page),
        **shown,
        "archive": {"is_any": False},
        "is_shared": True,
        "project": sharing.hide_project(share.project),
        "page_base": "teams/share_content.html",
    }
    html = render_to_string("runs/shared_runs.html", context)
    return seal_html(html, {}), bool(shown["is_active"])


def strip(params: QueryDict) -> QueryDict:
    """Return what the addresses of a shared table say: never the view itself."""
    kept = QueryDict(mutable=True)
    for key in ("s", *NARROWING):
        if params.get(key):
            kept[key] = str(params[key])
    return kept


def list_documents(share: Share, n_pages: int) -> Iterator[tuple[str, bytes]]:
    """Return the pages of rows and their documents."""
    for number in range(1, n_pages + 1):
        query = QueryDict(mutable=True)
        query["p"] = str(number)
        page, params = read_page(share, query)
        yield name_page(str(number)), render(share, page, params)[0].encode()
        yield name_twin(str(number)), sharing.dump_json(describe(share, page))


def count_pages(page: RunsPage) -> int:
    """Return on how many pages the lines stand."""
    return max(1, -(-page.n_items // PAGE_SIZE))


def name_page(number: str) -> str:
    """Return the name of the document that holds a page of rows."""
    return f"page?p={number}"[:64]


def name_twin(number: str) -> str:
    """Return the name of the twin of a page of rows."""
    return f"{TWIN}?p={number}"[:64]
