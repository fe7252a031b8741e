"""The picture that messengers show beside the address of a share link.

The browser that makes the link draws and sends it; the server draws nothing. A link with a
password has none: whoever fetches the picture for a messenger has not given the password.
"""

from __future__ import annotations

import zlib

from django.conf import settings
from django.db import IntegrityError, transaction

from scaledash.lib.png import BadPicture, repack_png
from teams.models import Share, ShareDocument
from teams.services import Refused
from teams.sharing import load_document

PREVIEW = "preview.png"


def keep_preview(share: Share, picture: bytes) -> None:
    """Keep a link's picture, once."""
    if share.password:
        raise Refused("has_password", "A link with a password has no preview picture.")
    if len(picture) > settings.MAX_PREVIEW_BYTES:
        raise Refused("too_large", say_too_large())
    try:
        body = zlib.compress(repack_png(picture))
    except BadPicture as error:
        raise Refused("bad_picture", str(error)) from error
    try:
        with transaction.atomic():
            ShareDocument.objects.create(share=share, name=PREVIEW, body=body)
    except IntegrityError:
        raise Refused("conflict", "This link has its preview picture already.") from None


def say_too_large() -> str:
    """Name the limit."""
    return f"A preview picture has at most {settings.MAX_PREVIEW_BYTES // 1024} KiB."


def has_preview(share: Share) -> bool:
    """Say whether a picture goes with the link."""
    return not share.password and share.documents.filter(name=PREVIEW).exists()


def load_preview(share: Share) -> bytes | None:
    """Return the picture as PNG."""
    return None if share.password else load_document(share, PREVIEW)
