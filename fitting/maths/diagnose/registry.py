"""All diagnostics of a run by name: every module of this package that holds a `DIAGNOSTIC`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from fitting.maths import diagnose
from fitting.maths.diagnose.diagnostic import Diagnostic


@cache
def list_diagnostics() -> dict[str, Diagnostic]:
    """Return slug -> diagnostic, in the order of their numbers."""
    found = []
    for module in (item.name for item in iter_modules(diagnose.__path__)):
        value = getattr(import_module(f"{diagnose.__name__}.{module}"), "DIAGNOSTIC", None)
        if isinstance(value, Diagnostic):
            found.append(value)
    return {item.slug: item for item in sorted(found, key=lambda item: int(item.number[1:]))}
