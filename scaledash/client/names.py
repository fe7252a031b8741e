"""Metric names: text of 1 to 256 characters after NFC, without invisible tricks."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 256
RESERVED = ("_step", "_runtime", "_timestamp", "_wandb")
# Control characters, lone surrogates, and marks that change the direction of the text around them.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


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
