"""Short names of variants, and stored sentences, in templates."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

from fitting.texts import polish

register = template.Library()
ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"


@register.filter
def named(label: str, names: Mapping[str, str]) -> str:
    """Return what the page calls a variant."""
    return names.get(label, label)


@register.filter
def breakable(label: str) -> str:
    """Return a label that a narrow column may break after a sign, and nowhere inside a word."""
    return "".join(f"{sign}{ZERO_WIDTH}" if sign in "_=,/" else sign for sign in label)


register.filter("polished", polish)
