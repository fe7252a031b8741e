"""Short names of variants, and stored sentences, in templates."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

from fitting.texts import polish

register = template.Library()


@register.filter
def named(label: str, names: Mapping[str, str]) -> str:
    """Return what the page calls a variant."""
    return names.get(label, label)


register.filter("polished", polish)
