"""Saved views: states of a page by name, each for its owner or for the whole project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from runs import explore, table
from runs.bulk import UNDO_MINUTES
from runs.models import VIEW_NAME_LENGTH, Metric, Run, SavedView, ViewPage
from runs.services import Refused
from scaledash.lib.urlstate import ORDER, split_list
from teams import audit
from teams.models import Project, Role, User

PLAIN = "-"  # the page without a view, even where one is the default
KEYS: Mapping[str, tuple[str, ...]] = {
    ViewPage.RUNS: tuple(key for key in table.KEYS if key not in ("p", "v")),
    ViewPage.EXPLORE: explore.KEYS,
    ViewPage.COMPARE: ("sel",),
}
MAX_QUERY_LENGTH = 8_000
_NAME = re.compile(r"[\w./-]+")


@dataclass(frozen=True)
class ViewWish:
    """A view as it is to be saved."""

    page: str
    name: str
    query: str
    is_shared: bool = False
    is_default: bool = False


def canonise(page: str, text: str) -> str:
    """Return the state of a page as its address holds it: known keys, in one order."""
    query = QueryDict(text.removeprefix("?"))
    pairs = [(key, query[key]) for key in ORDER if key in KEYS[page] and query.get(key)]
    return urlencode(pairs, quote_via=quote)


def build_url(view: SavedView, is_plain: bool = False) -> str:
    """Return the address that a view was saved from; a plain one asks for no default."""
    here = reverse(view.page, args=[view.project.slug])
    query = "&".join(part for part in (view.query, f"v={PLAIN}" if is_plain else "") if part)
    return f"{here}?{query}" if query else here


def list_views(
    project: Project, user_id: int | None, page: str | None = None
) -> QuerySet[SavedView]:
    """Return the views of the project that a member sees: all shared ones, and their own."""
    found = SavedView.objects.seen_by(user_id).filter(project=project)
    found = found.filter(page=page) if page else found
    return found.select_related("owner", "project").order_by("-is_shared", "name", "pk")


def find_default(views: Iterable[SavedView]) -> SavedView | None:
    """Return the view that a page opens with: the reader's own default before the project's."""
    defaults = [view for view in views if view.is_default]
    return min(defaults, key=lambda view: view.is_shared, default=None)


def may_change(view: SavedView, user_id: int | None, role: Role | None) -> bool:
    """Say whether a member may change a view: their own; as an editor a shared one."""
    if view.is_shared:
        return role is not None and role.includes(Role.EDITOR)
    return view.owner_id == user_id


def find_deleted(user_id: int, views: QuerySet[SavedView]) -> SavedView | None:
    """Return the view that a person deleted last, while its undoing is still offered."""
    since = timezone.now() - timedelta(minutes=UNDO_MINUTES)
    mine = views.filter(deleted_by=user_id, deleted_at__gt=since).select_related("project")
    return mine.order_by("-deleted_at").first()


def describe_view(view: SavedView) -> dict[str, object]:
    """Return a view as pages and the API show it."""
    return {
        "id": view.pk,
        "project": view.project.slug,
        "page": view.page,
        "name": view.name,
        "query": view.query,
        "url": build_url(view),
        "owner": view.owner.get_username() if view.owner else None,
        "is_shared": view.is_shared,
        "is_default": view.is_default,
        "created_at": view.created_at,
        "changed_at": view.changed_at,
    }


def find_missing(views: Sequence[SavedView]) -> dict[int, list[str]]:
    """Return what is gone of the runs and metrics that views name, by the id of the view."""
    wanted = {view.pk: _read_names(view) for view in views}
    projects = {view.project_id for view in views}
    uids = {uid for runs, _ in wanted.values() for uid in runs}
    live = Run.objects.filter(project__in=projects, uid__in=uids, deleted_at=None)
    known_runs = set(live.values_list("project_id", "uid"))
    metrics: dict[int, list[str]] = {}
    for project_id, name in Metric.objects.filter(project__in=projects).values_list(
        "project_id", "name"
    ):
        metrics.setdefault(project_id, []).append(name.casefold())
    missing = {}
    for view in views:
        runs, names = wanted[view.pk]
        gone = [f"run {uid}" for uid in runs if (view.project_id, uid) not in known_runs]
        logged = metrics.get(view.project_id, [])
        gone += [f"metric {n}" for n in names if not any(n.casefold() in one for one in logged)]
        missing[view.pk] = gone
    return missing


def _read_names(view: SavedView) -> tuple[list[str], list[str]]:
    """Return the runs that a view selects and the metrics that it names, patterns aside."""
    query = QueryDict(view.query)
    names = [name for name in split_list(query.get("m", "")) if _NAME.fullmatch(name)]
    return [uid for uid in split_list(query.get("sel", "")) if uid], names


@transaction.atomic
def save_view(project: Project, user: User, role: Role, wish: ViewWish) -> SavedView:
    """Save the state of a page under a name."""
    view = SavedView(project=project, owner=user, page=wish.page, is_shared=wish.is_shared)
    view.name, view.query = check_name(wish.name), check_query(wish.page, wish.query)
    if wish.is_shared and not role.includes(Role.EDITOR):
        message = f"Views for the whole project are saved by editors; your role is {role}."
        raise Refused(403, "role", message, "/is_shared")
    _check_free(view)
    view.is_default = wish.is_default
    _make_room(view)
    view.save()
    _record("saved", view)
    return view


@transaction.atomic
def change_view(view: SavedView, changes: Mapping[str, object]) -> SavedView:
    """Rename a view, give it another state, share it, or make it the default."""
    if "name" in changes:
        view.name = check_name(str(changes["name"]))
    if "query" in changes:
        view.query = check_query(view.page, str(changes["query"]))
    if changes.get("is_shared", view.is_shared) != view.is_shared:
        view.is_shared, view.is_default = not view.is_shared, False
    view.is_default = bool(changes.get("is_default", view.is_default))
    view.changed_at = timezone.now()
    _check_free(view)
    _make_room(view)
    view.save()
    _record("changed", view)
    return view


@transaction.atomic
def delete_view(view: SavedView, user: User) -> None:
    """Delete a view; the page that it points to stays as it is, and undo brings it back."""
    view.deleted_at, view.deleted_by, view.is_default = timezone.now(), user, False
    view.save(update_fields=["deleted_at", "deleted_by", "is_default"])
    _record("deleted", view)


@transaction.atomic
def restore_view(view: SavedView) -> SavedView:
    """Take the deletion of a view back."""
    view.deleted_at = view.deleted_by = None
    _check_free(view)
    view.save(update_fields=["deleted_at", "deleted_by"])
    _record("restored", view)
    return view


def check_name(text: str) -> str:
    """Return the name of a view, or refuse it."""
    name = " ".join(text.replace("\x00", " ").split())
    if not 0 < len(name) <= VIEW_NAME_LENGTH:
        message = f"The name of a view has 1 to {VIEW_NAME_LENGTH} characters, not {len(name)}."
        raise Refused(422, "out_of_range", message, "/name")
    return name


def check_query(page: str, text: str) -> str:
    """Return the state of a page in one form, or refuse it."""
    query = canonise(page, text)
    if len(query) > MAX_QUERY_LENGTH:
        message = (
            f"This view takes {len(query):,} characters and {MAX_QUERY_LENGTH:,} are kept; "
            "describe the runs by a filter in place of naming them."
        )
        raise Refused(422, "too_long", message, "/query")
    return query


def _check_free(view: SavedView) -> None:
    """Refuse a name that another view of the same readers has."""
    alike = _list_readers_views(view).filter(name=view.name, deleted_at=None)
    if alike.exclude(pk=view.pk).exists():
        message = f"There is already a view called {view.name!r} here; choose another name."
        raise Refused(409, "exists", message, "/name")


def _list_readers_views(view: SavedView) -> QuerySet[SavedView]:
    """Return the views of a page for the same readers: the project, or the owner alone."""
    here = SavedView.objects.filter(project=view.project, page=view.page, is_shared=view.is_shared)
    return here if view.is_shared else here.filter(owner=view.owner_id)


def _make_room(view: SavedView) -> None:
    """One default for each page: of the project, and of each person."""
    if not view.is_default:
        return
    others = _list_readers_views(view).filter(is_default=True)
    others.exclude(pk=view.pk).update(is_default=False)


def _record(verb: str, view: SavedView) -> None:
    """Tell the project of what concerns all of it; private views are nobody's business."""
    if view.is_shared:
        audit.record(f"view.{verb}", view.project, view.name, page=view.page)
