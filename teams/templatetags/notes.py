"""`{% load notes %}`, then `{{ text|markdown }}`: what people write, rendered and sanitised."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString, mark_safe

from scaledash.lib.markdown import render_markdown

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """Render a note; scaledash.lib.markdown lets nothing pass that could act."""
    return mark_safe(render_markdown(text))  # nosec B308, B703
