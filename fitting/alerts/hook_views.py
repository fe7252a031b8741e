"""The page of a project's webhooks: add, try, turn on, remove, and the log of what was sent."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fitting.alerts import hooks
from fitting.alerts.hook_pages import build_hooks
from fitting.alerts.models import TITLE_LENGTH, URL_LENGTH, HookFormat, Level, Webhook
from fitting.services import Refused
from teams.models import Project, Role
from teams.pages import answer_json, get_project, read_form, require_sign_in

FORMATS = ((HookFormat.SLACK, "Slack-compatible text"), (HookFormat.JSON, "JSON, signed"))
LEVELS = ((Level.CRITICAL, "critical only"), (Level.WARN, "warn and critical"), (Level.INFO, "all"))


class HookForm(forms.Form):
    """A webhook to add."""

    name = forms.CharField(label="Name", max_length=TITLE_LENGTH)
    url = forms.CharField(
        label="Address",
        max_length=URL_LENGTH,
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://"}),
    )
    format = forms.ChoiceField(label="Format", choices=FORMATS)
    least = forms.ChoiceField(label="Sends", choices=LEVELS, initial=Level.WARN)


@sensitive_post_parameters("url")
@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def show_hooks(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the webhooks of a project with their log; POST adds one."""
    project = get_project(request, slug, Role.ADMIN)
    form = HookForm(read_form(request), auto_id="id_hook_%s")
    added = _add(request, project, form) if request.method == "POST" and form.is_valid() else None
    refused = request.method == "POST" and added is None
    document = build_hooks(project)
    context = {
        **document,
        "project": project,
        "section": "settings",
        "form": HookForm(auto_id="id_hook_%s") if added else form,
        "added": added,
        "secret": hooks.find_secret(added) if added else "",
        "json_url": reverse("hooks-json", args=[slug]),
        "crumbs": [
            (project.name or slug, reverse("runs", args=[slug])),
            ("Settings", reverse("project-settings", args=[slug])),
            ("Webhooks", None),
        ],
    }
    return render(request, "fitting/hooks.html", context, status=422 if refused else 200)


def _add(request: HttpRequest, project: Project, form: HookForm) -> Webhook | None:
    try:
        return hooks.create_hook(project, request.user, hooks.HookWish(**form.cleaned_data))
    except Refused as refusal:
        form.add_error("url", refusal.message)
        return None


@require_sign_in
@require_safe
def read_hooks(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page, which the page polls."""
    return answer_json(build_hooks(get_project(request, slug, Role.ADMIN)))


@require_sign_in
@require_POST
def try_hook(request: HttpRequest, slug: str, hook_id: int) -> HttpResponse:
    """Send a test; the log shows how it went."""
    hook = _get_hook(request, slug, hook_id)
    try:
        hooks.send_test(hook)
        messages.success(request, f"A test is on its way to {hook.name}; see the log below.")
    except Refused as refusal:
        messages.error(request, refusal.message)
    return redirect("hooks", slug)


@require_sign_in
@require_POST
def enable_hook(request: HttpRequest, slug: str, hook_id: int) -> HttpResponse:
    """Turn a hook on again."""
    hooks.enable_hook(_get_hook(request, slug, hook_id))
    return redirect("hooks", slug)


@require_sign_in
@require_POST
def remove_hook(request: HttpRequest, slug: str, hook_id: int) -> HttpResponse:
    """Remove a hook with its log."""
    hook = _get_hook(request, slug, hook_id)
    hooks.remove_hook(hook)
    messages.success(request, f"{hook.name} is removed.")
    return redirect("hooks", slug)


def _get_hook(request: HttpRequest, slug: str, hook_id: int) -> Webhook:
    project = get_project(request, slug, Role.ADMIN)
    return get_object_or_404(Webhook.objects.select_related("project"), project=project, pk=hook_id)
