"""Share links: who holds one sees one study, run or comparison, and nothing else.

This module keeps the grants: make, find, count, revoke. It does not know what a study is. The
apps above register a ShareKind each, which chooses what a link is about, builds its page and its
data, and copies both when a link is frozen.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol

from django.contrib.auth.hashers import check_password, make_password
from django.core import signing
from django.db import transaction
from django.db.models import F, Q
from django.http import QueryDict
from django.utils import timezone

from scaledash.lib import jsonsafe
from teams import audit
from teams.comments import describe_comment, list_comments
from teams.models import Project, Share, ShareDocument, User
from teams.principals import Principal
from teams.services import Refused, hash_secret

STAND_IN = "shared"
MIN_SHARE_PASSWORD = 8
COMMENTS, NOTES = "comments", "notes"
UNLOCK_SALT = "teams.share"
UNLOCKED_FOR = timedelta(hours=12)
MAX_SUBJECT_LENGTH = 10_000  # of what names it in a request: the address of a view
MAX_FROZEN_BYTES = 64 * 1024 * 1024
Document = dict[str, object]


@dataclass(frozen=True)
class Subject:
    """What a link is about: `fields` are stored and never widen, `title` is its first title."""

    fields: Document
    title: str


@dataclass(frozen=True)
class SharedPage:
    """The content of a shared page, sealed; `rev` and `is_active` let a live one follow."""

    html: str
    rev: str = ""
    is_active: bool = False


class ShareKind(Protocol):
    """What an app does for the links to its pages. `part` is the path below the token."""

    name: str
    takes: tuple[str, ...]  # of COMMENTS and NOTES, what its subjects have and a link may include

    def choose(self, principal: Principal, project: Project, query: QueryDict) -> Subject | None:
        """Return what the query names, or None where the principal may not see it."""

    def build_page(self, share: Share, query: QueryDict) -> SharedPage | None:
        """Return the page as it is now, or None where its subject is gone."""

    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the data behind a part of the page as it is now, or None for no such part."""

    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]:
        """Return in words what is frozen, and every document that the link will need."""

    def build_frozen_page(self, share: Share, query: QueryDict) -> SharedPage | None:
        """Return the page as it was copied."""

    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the data behind a part of the page as it was copied."""


@dataclass(frozen=True)
class ShareWish:
    """How a link is to be made."""

    kind: str
    subject: Subject
    title: str = ""
    is_frozen: bool = False
    with_notes: bool = False
    with_comments: bool = False
    password: str = ""
    expires_at: datetime | None = None


KINDS: dict[str, ShareKind] = {}


def register_kind(kind: ShareKind) -> None:
    """Let links of this kind be made and opened; apps call it when they are ready."""
    KINDS[kind.name] = kind


@transaction.atomic
def create_share(project: Project, user: User, wish: ShareWish) -> tuple[Share, str]:
    """Make a link and return it with its token, which can never be shown again."""
    if wish.expires_at is not None and wish.expires_at <= timezone.now():
        message = "The link would expire before it exists; choose a later time."
        raise Refused("out_of_range", message)
    check_included(wish)
    token = secrets.token_urlsafe(32)
    share = Share.objects.create(
        sha256=hash_secret(token),
        project=project,
        kind=wish.kind,
        subject=wish.subject.fields,
        title=wish.title or wish.subject.title,
        is_frozen=wish.is_frozen,
        with_notes=wish.with_notes,
        with_comments=wish.with_comments,
        password=make_password(wish.password) if wish.password else "",
        created_by=user,
        expires_at=wish.expires_at,
    )
    if share.is_frozen:
        _freeze(share)
    mode = "frozen" if share.is_frozen else "live"
    audit.record("share.created", project, share.title, kind=share.kind, mode=mode)
    return share, token


def check_included(wish: ShareWish) -> None:
    """Refuse to include what the subject does not have."""
    for part, is_wanted in ((NOTES, wish.with_notes), (COMMENTS, wish.with_comments)):
        if is_wanted and part not in KINDS[wish.kind].takes:
            raise Refused("not_included", f"A {wish.kind} has no {part} to include; leave it out.")


def _freeze(share: Share) -> None:
    share.basis, documents = KINDS[share.kind].freeze(share)
    if share.with_comments:
        documents = chain(documents, [(COMMENTS, dump_json(list_shared_comments(share)))])
    packed, size_bytes = [], 0
    for name, body in documents:
        packed.append(ShareDocument(share=share, name=name, body=zlib.compress(body)))
        size_bytes += len(packed[-1].body)
        if size_bytes > MAX_FROZEN_BYTES:
            raise Refused(
                "too_large",
                f"A frozen link copies {MAX_FROZEN_BYTES / 2**20:.0f} MiB at most, and this would "
                "be more; share it live.",
            )
    ShareDocument.objects.bulk_create(packed)
    share.save(update_fields=["basis"])


def find_share(token: str) -> Share | None:
    """Return the share of a token, or None if it is unknown, revoked, expired or orphaned."""
    now = timezone.now()
    shares = Share.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    known = shares.filter(sha256=hash_secret(token), project__deleted_at=None)
    share = known.select_related("project").first()
    return share if share is not None and share.kind in KINDS else None


@transaction.atomic
def revoke_share(share: Share) -> None:
    """Make the link useless from the very next request on."""
    live = Share.objects.filter(pk=share.pk, revoked_at=None)
    if live.update(revoked_at=timezone.now()):
        audit.record("share.revoked", share.project, share.title, kind=share.kind)


def count_opening(share: Share) -> None:
    """Note that somebody opened the page."""
    Share.objects.filter(pk=share.pk).update(
        n_opened=F("n_opened") + 1, last_opened_at=timezone.now()
    )


def unlock(share: Share, password: str) -> str | None:
    """Return the cookie that opens a share with a password, or None if the password is wrong."""
    if not check_password(password, share.password):
        return None
    return signing.dumps([share.pk, hash_secret(share.password)], salt=UNLOCK_SALT)


def is_unlocked(share: Share, cookie: str) -> bool:
    """Say whether the share needs no password, or the cookie proves that it was given."""
    if not share.password:
        return True
    try:
        proof = signing.loads(cookie, salt=UNLOCK_SALT, max_age=UNLOCKED_FOR)
    except signing.BadSignature:
        return False
    return proof == [share.pk, hash_secret(share.password)]


def build_page(share: Share, query: QueryDict) -> SharedPage | None:
    """Return the page of a share, live or as it was copied."""
    kind = KINDS[share.kind]
    return (kind.build_frozen_page if share.is_frozen else kind.build_page)(share, query)


def read_part(share: Share, part: str, query: QueryDict) -> object | None:
    """Return the data behind a part of a share's page, live or as it was copied."""
    kind = KINDS[share.kind]
    return (kind.read_frozen_part if share.is_frozen else kind.read_part)(share, part, query)


def read_comments(share: Share) -> list[dict[str, object]]:
    """Return the comments that go with a share, live or as they were copied; else nothing."""
    if not share.with_comments:
        return []
    if not share.is_frozen:
        return list_shared_comments(share)
    copied = load_json(share, COMMENTS)
    return [{**one, "created_at": datetime.fromisoformat(one["created_at"])} for one in copied]


def list_shared_comments(share: Share) -> list[dict[str, object]]:
    """Return the comments on what is shared, as its readers see them."""
    comments = list_comments(share.project, share.kind, share.subject[share.kind])
    return [{**describe_comment(comment), "id": None} for comment in comments]


def load_document(share: Share, name: str) -> bytes | None:
    """Return a document that was copied when the share was made."""
    found = ShareDocument.objects.filter(share=share, name=name).first()
    return None if found is None else zlib.decompress(found.body)


def load_json(share: Share, name: str) -> object | None:
    """Return a copied JSON document."""
    body = load_document(share, name)
    return None if body is None else json.loads(body)


def dump_json(document: object) -> bytes:
    """Return a document as it is copied."""
    return jsonsafe.dumps(document)


def hide_project(project: Project) -> Project:
    """Return a stand-in with the same key: pages built from it cannot name the project."""
    return Project(pk=project.pk, slug=STAND_IN, name="")
