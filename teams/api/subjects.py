"""What a share link or a comment is about, as requests name it: a kind and an id."""

from __future__ import annotations

from django.http import QueryDict

from teams.api.errors import not_found, unprocessable
from teams.models import Project
from teams.principals import Principal
from teams.sharing import KINDS, Subject


def choose_subject(
    principal: Principal, project: Project, name: str, subject_id: str, needs: str = ""
) -> Subject:
    """Return what a request names, or answer 422 or 404; `needs` is what its kind must take."""
    kinds = {key: kind for key, kind in KINDS.items() if not needs or needs in kind.takes}
    kind = kinds.get(name)
    if kind is None:
        message = f"There is no kind {name[:20]!r}; the kinds are {', '.join(sorted(kinds))}."
        raise unprocessable("unknown_value", message, "/kind")
    query = QueryDict(mutable=True)
    query["id"] = subject_id
    subject = kind.choose(principal, project, query)
    if subject is None:
        raise not_found(f"{name} {subject_id[:64]!r}")
    return subject
