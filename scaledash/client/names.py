"""Metric names: text of 1 to 256 characters after NFC, without invisible tricks."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_LENGTH = 256
MAX_SLUG = 64
RESERVED = ("_step", "_runtime", "_timestamp", "_wandb")
# Control characters, lone surrogates, and marks that change the direction of the text around them.
_SLUG = re.compile("[A-Za-z0-9_-]{1,64}")
_NOT_IN_SLUG = re.compile("[^A-Za-z0-9_-]+")
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def make_slug(project: str) -> str:
    """Return the name of a project as the server takes it; what it takes already stays as it is.

    W&B allows spaces, dots and every alphabet: accents are dropped, everything else becomes "-".
    Letters that have no Latin form are told apart by a digest behind what is left.
    """
    if _SLUG.fullmatch(project):
        return project
    plain = unicodedata.normalize("NFKD", project)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    slug = _NOT_IN_SLUG.sub("-", plain)[:MAX_SLUG].strip("-")
    if slug and plain.isascii():
        return slug
    digest = hashlib.sha256(project.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{slug[: MAX_SLUG - 9] or 'project'}-{digest}"


def clean_name(name: object) -> str:
    """Return the stored form of a metric name.

    Raises
    ------
    ValueError
        The name is empty, too long or reserved; the message says which.
    """
    text = name if isinstance(name, str) else str(name)
    if not (text.isascii() and text.isprintable()):
        text = _HIDDEN.sub("_", unicodedata.normalize("NFC", text))
    if not 0 < len(text) <= MAX_LENGTH:
        raise ValueError(f"a metric name has 1 to {MAX_LENGTH} characters, this one {len(text)}")
    if text.startswith(RESERVED):
        raise ValueError(f"metric names beginning with {', '.join(RESERVED)} are reserved")
    return text
