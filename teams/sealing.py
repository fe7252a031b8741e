"""Pages of share links: every address in them lies below the link's own path, or is taken out.

A shared page is rendered from the same templates as the page inside, with a stand-in for the
project. This pass is the second defence: what a template links to, posts to or reads from is
moved below the link where the link serves it, and removed where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings

PLACE = "/s/-/"  # stands for the link's path until the page is sent
_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL | re.IGNORECASE)
_ADDRESS = re.compile(r'\s([a-zA-Z][a-zA-Z0-9_:-]*)="((?:/|https?://)[^"]*)"')
_IDENTITY = re.compile(r'\s(id|for|aria-labelledby|aria-describedby|href)="(#?)([a-zA-Z][\w-]*)"')
_INWARD = ("/p/", "/api/", "/settings", "/login")


def seal_html(html: str, served: Mapping[str, str]) -> str:
    """Return the HTML with only addresses that the link serves; `served` maps path to part.

    A key that ends with a slash stands for all paths that begin with it. Text cannot look like
    an attribute: templates escape its quotes.
    """

    def move(match: re.Match[str]) -> str:
        name, url = match.groups()
        moved = _move(url, served)
        return f' {name}="{moved}"' if moved is not None else ""

    return _ADDRESS.sub(move, _FORM.sub("", html))


def _move(url: str, served: Mapping[str, str]) -> str | None:
    """Return the address below the link's path; None where the link does not serve it."""
    if settings.SCALEDASH_BASE_URL:
        url = url.removeprefix(settings.SCALEDASH_BASE_URL)
    if not url.startswith("/") or url.startswith(settings.STATIC_URL):
        return url
    path, mark, query = url.partition("?")
    for inner, part in served.items():
        if path == inner:
            return f"{PLACE}{part}{mark}{query}"
        if inner.endswith("/") and path.startswith(inner):
            return f"{PLACE}{part}{path.removeprefix(inner)}{mark}{query}"
    return None


def seal_json(document: object) -> object:
    """Return a document without addresses that lead into the project."""
    if isinstance(document, dict):
        return {key: seal_json(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [seal_json(value) for value in document]
    if isinstance(document, str):
        path = document.removeprefix(settings.SCALEDASH_BASE_URL or "\0")
        return "" if path.startswith(_INWARD) else document
    return document


def place_html(html: str, token: str) -> str:
    """Return sealed HTML with the link's own path."""
    return html.replace(PLACE, f"/s/{token}/")


def number_ids(html: str, number: int) -> str:
    """Return HTML whose ids, and what refers to them, stand apart from those of other parts."""

    def name(match: re.Match[str]) -> str:
        attribute, mark, text = match.groups()
        is_link = attribute == "href"
        return match[0] if is_link and not mark else f' {attribute}="{mark}part{number}-{text}"'

    return _IDENTITY.sub(name, html)
