"""Saved views in the browser: the list of them, and the forms of the menus that save and open."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from runs import saved_views
from runs.models import SavedView, ViewPage
from runs.saved_views import PLAIN, ViewWish
from runs.services import Refused
from teams.models import Project, Role
from teams.pages import answer_json, get_principal, get_project, require_sign_in
from teams.queries import find_role

PAGE_SIZE = 50
NAVIGATIONS = (None, "document")  # a page that reads itself again stays where it is
LABELS = dict(ViewPage.choices)


def open_view(request: HttpRequest, project: Project, page: str) -> HttpResponse | None:
    """Lead to the state that `v` names, or to the default view of a bare address."""
    asked = request.GET.get("v", "")
    if request.headers.get("Sec-Fetch-Dest") not in NAVIGATIONS or asked == PLAIN:
        return None
    if request.GET and not asked:
        return None
    views = list(saved_views.list_views(project, request.user.pk, page))
    default = saved_views.find_default(views)
    if not asked:
        return HttpResponseRedirect(saved_views.build_url(default, True)) if default else None
    found = next((view for view in views if str(view.pk) == asked), None)
    if found is None:
        messages.error(request, f"There is no saved view {asked[:20]!r} here; it may be deleted.")
        return HttpResponseRedirect(f"{reverse(page, args=[project.slug])}?v={PLAIN}")
    return HttpResponseRedirect(saved_views.build_url(found, default is not None))


def read_query(request: HttpRequest, project: Project, page: str) -> QueryDict:
    """Return the query of a twin; where it names a view, that of the view."""
    asked = request.GET.get("v", "")
    if not asked or asked == PLAIN:
        return request.GET
    views = saved_views.list_views(project, request.user.pk, page)
    found = next((view for view in views if str(view.pk) == asked), None)
    if found is None:
        raise Http404
    return QueryDict(found.query)


def build_menu(request: HttpRequest, project: Project, page: str) -> dict[str, object]:
    """Return what the menu of views on a page shows."""
    role = find_role(get_principal(request), project)
    views = list(saved_views.list_views(project, request.user.pk, page))
    query = saved_views.canonise(page, request.GET.urlencode())
    return {
        "page": page,
        "query": query,
        "may_share": _may_share(role),
        "share_id": f"{page}?{query}" if query else page,
        "has_default": saved_views.find_default(views) is not None,
        "views": [
            {
                **saved_views.describe_view(view),
                "may_change": saved_views.may_change(view, request.user.pk, role),
            }
            for view in views
        ],
    }


@require_sign_in
@require_safe
def show_views(request: HttpRequest) -> HttpResponse:
    """Show the views that the reader may open, of all projects."""
    context = {
        **_list_views(request),
        "crumbs": [("Saved views", None)],
        "deleted": saved_views.find_deleted(request.user.pk, _list_visible(request, deleted=True)),
        "json_url": reverse("views-json"),
    }
    return render(request, "runs/saved_views.html", context)


@require_sign_in
@require_safe
def read_views(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_list_views(request))


def _list_views(request: HttpRequest) -> dict[str, object]:
    number = request.GET.get("p", "1")
    page = Paginator(_list_visible(request), PAGE_SIZE).get_page(number)
    views = list(page.object_list)
    missing = saved_views.find_missing(views)
    roles = {view.project: None for view in views}
    roles = {project: find_role(get_principal(request), project) for project in roles}
    return {
        "total": page.paginator.count,
        "page": page.number,
        "pages": page.paginator.num_pages,
        "views": [
            {
                **saved_views.describe_view(view),
                "page_label": LABELS[view.page],
                "missing": missing[view.pk],
                "may_change": saved_views.may_change(view, request.user.pk, roles[view.project]),
                "is_own": view.owner_id == request.user.pk,
                "may_share": _may_share(roles[view.project]),
            }
            for view in views
        ],
    }


def _may_share(role: Role | None) -> bool:
    return role is not None and role.includes(Role.EDITOR)


def _list_visible(request: HttpRequest, deleted: bool = False) -> QuerySet[SavedView]:
    found = SavedView.objects.visible_to(get_principal(request), deleted)
    return found.select_related("owner", "project").order_by("project__slug", "page", "name", "pk")


@require_sign_in
@require_POST
def save(request: HttpRequest, slug: str) -> HttpResponse:
    """Save what a page shows under a name; back to the same page."""
    project = get_project(request, slug)
    fields = request.POST
    page = fields.get("page", "")
    if page not in ViewPage.values:
        raise Http404
    wish = ViewWish(
        page=page,
        name=fields.get("name", ""),
        query=fields.get("query", ""),
        is_shared="is_shared" in fields,
        is_default="is_default" in fields,
    )
    role = find_role(get_principal(request), project)
    assert role is not None  # the project is visible
    try:
        view = saved_views.save_view(project, request.user, role, wish)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"Saved as “{view.name}”.")
    query = saved_views.canonise(page, wish.query) or f"v={PLAIN}"
    return HttpResponseRedirect(f"{reverse(page, args=[slug])}?{query}")


@require_sign_in
@require_POST
def change(request: HttpRequest, slug: str, view_id: int) -> HttpResponse:
    """Rename, update, share or delete a view, or make it the default."""
    view = _get_view(request, slug, view_id)
    action, fields = request.POST.get("action", ""), request.POST
    if action == "delete":
        saved_views.delete_view(view, request.user)
        return redirect("views")
    try:
        saved_views.change_view(view, _read_changes(view, action, fields))
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"“{view.name}” is saved.")
    return redirect(saved_views.build_url(view, True) if action == "update" else reverse("views"))


def _read_changes(view: SavedView, action: str, fields: Mapping[str, str]) -> dict[str, object]:
    changes: dict[str, dict[str, object]] = {
        "rename": {"name": fields.get("name", "")},
        "update": {"query": fields.get("query", "")},
        "share": {"is_shared": not view.is_shared},
        "default": {"is_default": not view.is_default},
    }
    if action not in changes:
        raise Http404
    return changes[action]


@require_sign_in
@require_POST
def restore(request: HttpRequest, slug: str, deleted_view_id: int) -> HttpResponse:
    """Take a deletion back, as whoever deleted."""
    project = get_project(request, slug)
    gone = SavedView.objects.filter(project=project, deleted_by=request.user.pk)
    view = gone.filter(pk=deleted_view_id).first()
    if view is None:
        raise Http404
    try:
        saved_views.restore_view(view)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"“{view.name}” is back.")
    return redirect("views")


def _get_view(request: HttpRequest, slug: str, view_id: int) -> SavedView:
    project = get_project(request, slug)
    view = saved_views.list_views(project, request.user.pk).filter(pk=view_id).first()
    role = find_role(get_principal(request), project)
    if view is None or not saved_views.may_change(view, request.user.pk, role):
        raise Http404
    return view
