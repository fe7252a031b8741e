"""Times in words."""

from __future__ import annotations

from django import template

from scaledash.lib.units import format_seconds

register = template.Library()


@register.filter
def duration(seconds: float) -> str:
    """Return a number of seconds as people say it."""
    return format_seconds(seconds)
