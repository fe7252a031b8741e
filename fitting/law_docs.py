"""The page that says of each law what it claims, where it comes from and when it is refused."""

from __future__ import annotations

import re
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from scaledash.lib.markdown import render_markdown
from teams.pages import require_sign_in

LAWS = settings.BASE_DIR / "docs" / "laws.md"  # generated from the registry
ANCHOR = re.compile(r'<h\d id="([a-z0-9_]+)">')
SLUG = re.compile(r"<(h\d)>([a-z0-9_]+)</\1>")


@require_sign_in
@require_safe
def show_laws(request: HttpRequest) -> HttpResponse:
    """Show the laws; each has an anchor, its slug."""
    return render(request, "fitting/laws.html", {"slugs": list_slugs(), "body": render_laws()})


@cache
def render_laws() -> str:
    """Return the documentation as HTML, without its own title."""
    _, _, text = LAWS.read_text(encoding="utf-8").partition("\n\n")
    html = SLUG.sub(r'<\1 id="\2">\2</\1>', render_markdown(text))
    return mark_safe(html)  # nosec B308, B703: our own file, cleaned by nh3


def list_slugs() -> list[str]:
    """Return the slugs of the laws in the order of the page."""
    return ANCHOR.findall(render_laws())
