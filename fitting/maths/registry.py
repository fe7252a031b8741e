"""All laws by name: every module of `fitting.maths.laws` that holds a `LAW`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from fitting.maths import laws
from fitting.maths.types import Law


@cache
def list_laws() -> dict[str, Law]:
    """Return slug -> law, in the order of the slugs.

    Returns
    -------
    slug -> law
    """
    found = {}
    for module in sorted(item.name for item in iter_modules(laws.__path__)):
        law = getattr(import_module(f"{laws.__name__}.{module}"), "LAW", None)
        if isinstance(law, Law):
            found[law.slug] = law
    return found


def get_law(slug: str) -> Law:
    """Return one law.

    Parameters
    ----------
    slug : name of the law's file

    Returns
    -------
    the law

    Raises
    ------
    KeyError
        For an unknown slug, naming the known ones.
    """
    known = list_laws()
    if slug not in known:
        raise KeyError(f"no law is called {slug!r}; there are {', '.join(known)}")
    return known[slug]
