"""Pages on which members write, change and remove comments."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from teams.comments import (
    Remark,
    add_comment,
    delete_comment,
    edit_comment,
    find_address,
    find_page,
    name_members,
)
from teams.forms import CommentForm
from teams.models import Comment, Project, Role
from teams.pages import get_principal, get_project, read_form, require_sign_in
from teams.services import Refused
from teams.sharing import COMMENTS, KINDS


@require_sign_in
@require_POST
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Write a comment on the run or study that the query names."""
    project = get_project(request, slug, Role.EDITOR)
    kind = KINDS.get(request.GET.get("kind", ""))
    if kind is None or COMMENTS not in kind.takes:
        raise Http404
    subject = kind.choose(get_principal(request), project, request.GET)
    if subject is None:
        raise Http404
    form = CommentForm(request.POST)
    here = reverse(kind.name, args=[slug, request.GET["id"]])
    if not form.is_valid():
        return _show(request, project, form, here)
    remark = Remark(
        kind=kind.name,
        subject=subject.fields[kind.name],
        place=request.GET["id"],
        title=subject.title,
        **form.cleaned_data,
    )
    comment = add_comment(project, request.user, remark)
    return redirect(find_address(comment))


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str, comment_id: int) -> HttpResponse:
    """Change one's own comment."""
    project, comment = _get_comment(request, slug, comment_id)
    form = CommentForm(read_form(request), initial={"body": comment.body})
    here = find_page(comment)
    if comment.author_id != get_principal(request).user_id:
        raise Http404
    if request.method != "POST" or not form.is_valid():
        return _show(request, project, form, here, is_new=False)
    edit_comment(comment, get_principal(request), form.cleaned_data["body"])
    return redirect(find_address(comment))


@require_sign_in
@require_POST
def delete(request: HttpRequest, slug: str, comment_id: int) -> HttpResponse:
    """Remove a comment."""
    _, comment = _get_comment(request, slug, comment_id)
    here = find_page(comment)
    try:
        delete_comment(comment, get_principal(request))
    except Refused as refusal:
        raise Http404 from refusal
    messages.success(request, "The comment is deleted.")
    return redirect(here)


def _get_comment(request: HttpRequest, slug: str, comment_id: int) -> tuple[Project, Comment]:
    project = get_project(request, slug, Role.EDITOR)
    comments = Comment.objects.filter(project=project).select_related("project", "author")
    return project, get_object_or_404(comments, pk=comment_id)


def _show(
    request: HttpRequest, project: Project, form: CommentForm, here: str, is_new: bool = True
) -> HttpResponse:
    members = name_members(project)
    context = {"project": project, "form": form, "here": here, "is_new": is_new, "members": members}
    status = 422 if request.method == "POST" else 200
    return render(request, "teams/comment_form.html", context, status=status)
