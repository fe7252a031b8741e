"""The page of a project's diagnostics: thresholds, and which metric is read as what."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from fitting.diagnoses.keys import PLAIN_KEYS
from fitting.diagnoses.naming import forget_meaning, list_names, set_meaning
from fitting.diagnoses.thresholds import change_thresholds, list_thresholds
from fitting.maths.diagnose.units import UNITS
from fitting.services import Refused
from teams.models import Project, Role
from teams.pages import answer_json, get_project, require_sign_in

VALUE = "value-"  # before the name of a threshold in the form
OFFERED_KEYS = (*PLAIN_KEYS, "attn.max_logit.L0", "attn.entropy.L0", "act.rms.L0", "grad.rms.")


def _build(project: Project) -> dict[str, object]:
    return {"diagnostics": list_thresholds(project), "names": list_names(project)}


@require_sign_in
@require_safe
def show_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the thresholds in force and how metrics are read; editors change both."""
    project = get_project(request, slug)
    may_edit = project.held_role.includes(Role.EDITOR)
    context = {
        **_build(project),
        "project": project,
        "section": "settings",
        "crumbs": [
            (project.name or project.slug, reverse("studies", args=[slug])),
            *([("Settings", reverse("project-settings", args=[slug]))] if may_edit else []),
            ("Diagnostics", None),
        ],
        "may_edit": may_edit,
        "may_manage": project.held_role == Role.ADMIN,
        "units": {name: unit.text for name, unit in UNITS.items()},
        "offered_keys": OFFERED_KEYS,
        "json_url": reverse("diagnosis-rules-json", args=[slug]),
    }
    return render(request, "fitting/diagnosis_rules.html", context)


@require_sign_in
@require_safe
def read_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build(get_project(request, slug)))


@require_sign_in
@require_POST
def change_limits(request: HttpRequest, slug: str) -> HttpResponse:
    """Set the thresholds of one diagnostic; an empty field takes the default back."""
    project = get_project(request, slug, Role.EDITOR)
    diagnostic = request.POST.get("diagnostic", "")
    try:
        wishes = {
            name.removeprefix(VALUE): _read_number(name.removeprefix(VALUE), text)
            for name, text in request.POST.items()
            if name.startswith(VALUE)
        }
        changed = change_thresholds(project, request.user, diagnostic, wishes)
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        if changed:
            messages.success(request, f"Changed {', '.join(changed)}; runs are judged again.")
    return _back(project, f"limits-{diagnostic}")


def _read_number(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        message = f"{name}: {text[:40]!r} is no number."
        raise Refused("invalid", message, f"/values/{name}") from error


@require_sign_in
@require_POST
def change_name(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what a metric stands for, or let its name speak for itself again."""
    project = get_project(request, slug, Role.EDITOR)
    sent = request.POST
    metric = sent.get("metric", "")
    try:
        if sent.get("action") == "reset":
            forget_meaning(project, metric)
        else:
            key = "" if sent.get("action") == "ignore" else sent.get("key", "").strip()
            set_meaning(project, request.user, metric, key, sent.get("unit", ""))
    except Refused as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"Saved; the runs that log {metric} are judged again.")
    return _back(project, "names")


def _back(project: Project, part: str) -> HttpResponseRedirect:
    return redirect(f"{reverse('diagnosis-rules', args=[project.slug])}#{part}")
