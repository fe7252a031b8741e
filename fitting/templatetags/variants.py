"""Short names of variants in templates."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def named(label: str, names: Mapping[str, str]) -> str:
    """Return what the page calls a variant."""
    return names.get(label, label)
