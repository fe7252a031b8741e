"""Links that fetch the modules of a page side by side, before one of them names the others."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from scaledash.lib.es_modules import IMPORT

register = template.Library()
FOLDER = Path(settings.BASE_DIR) / "static" / "js"


@register.simple_tag
def preload_modules(*names: str) -> SafeString:
    """Return links to the modules of these names and to all that they import at once."""
    found = dict.fromkeys(other for name in names for other in find_modules(name))
    links = ((static(f"js/{name}.js"),) for name in found)
    return format_html_join("\n", '<link rel="modulepreload" href="{}">', links)


@lru_cache(maxsize=64)
def find_modules(name: str) -> tuple[str, ...]:
    """Return a module and what it imports, each once; what is imported later is left out."""
    found = {name: None}
    for _, other in IMPORT.findall((FOLDER / f"{name}.js").read_text()):
        found |= dict.fromkeys(find_modules(other.removesuffix(".js")))
    return tuple(found)
