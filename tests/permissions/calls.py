"""A call of the permission table, and the answers that many routes share."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.permissions.world import ACTORS

OK = "ok"
Answers = dict[str, object]


@dataclass(frozen=True)
class Call:
    """One method of a route: who may, and a body with which it succeeds."""

    answers: Answers
    body: dict[str, object] = field(default_factory=dict)
    query: str = ""


def everyone(answer: object = OK, **others: object) -> Answers:
    """Return the same answer for all actors, some excepted."""
    return {**dict.fromkeys(ACTORS, answer), **others}


def page(signed_out: int = 302, **sessions: object) -> Answers:
    """Return the answers of a page by the role of the reader."""
    return {**everyone(signed_out), **sessions}


OWN_PAGE = page(stranger=OK, viewer=OK, editor=OK, admin=OK)
OWN_TWIN = page(401, stranger=OK, viewer=OK, editor=OK, admin=OK)
READ_PAGE = page(stranger=404, viewer=OK, editor=OK, admin=OK)
READ_TWIN = page(401, stranger=404, viewer=OK, editor=OK, admin=OK)
EDIT_PAGE = page(stranger=404, viewer=404, editor=OK, admin=OK)
ADMIN_PAGE = page(stranger=404, viewer=404, editor=404, admin=OK)
SITE_ADMIN_PAGE = page(stranger=404, viewer=404, editor=404, admin=404)

SIGNED_OUT = {"anonymous": 401, "revoked": 401}
SESSIONS_OUT = {"stranger": 401, "viewer": 401, "editor": 401, "admin": 401}
API_ANY = everyone(**SIGNED_OUT)
API_LIST = everyone(**SIGNED_OUT, a_write=403)
API_READ = everyone(**SIGNED_OUT, a_write=403, stranger=404, b_admin=404)
API_INGEST = everyone(**SIGNED_OUT, **SESSIONS_OUT, a_read=403, b_admin=404)
API_EDIT = everyone(**SIGNED_OUT, stranger=404, viewer=403, a_read=403, b_admin=404)
API_ADMIN = everyone(
    **SIGNED_OUT, stranger=404, viewer=403, editor=403, a_write=403, a_read=403, b_admin=404
)
API_SHARE = {**API_EDIT, "a_write": 403}
API_DELETED = {who: 409 if answer == OK else answer for who, answer in API_ADMIN.items()}
API_MINE = everyone(**SIGNED_OUT, a_read=403)
API_OWN = everyone(**SIGNED_OUT, a_write=403, a_read=403)


def refused(answers: Answers) -> Answers:
    """Return the answers where the study of the world has no law to predict with."""
    return {who: 422 if answer == OK else answer for who, answer in answers.items()}


PUBLIC = {"GET": Call(everyone())}
