"""The registry: complete, light to import, documented."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import Law


def test_listing_laws_in_a_fresh_interpreter_loads_no_scipy() -> None:
    code = (
        "import sys; from fitting.maths.registry import list_laws; assert list_laws(); "
        "bad = {'scipy', 'pandas', 'django'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_law_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="chinchilla_parametric"):
        get_law("chinchila")


@pytest.mark.parametrize("law", list_laws().values(), ids=list(list_laws()))
def test_law_is_complete(law: Law) -> None:
    assert law.title
    assert law.formula
    assert law.tex
    assert law.source
    assert law.procedure
    assert law.pitfalls
    assert all(param.text for param in law.params)
    assert all(option.text for option in law.options)


@pytest.mark.parametrize("law", list_laws().values(), ids=list(list_laws()))
def test_published_values_have_a_source(law: Law) -> None:
    assert all(item.source for item in law.published)


def test_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="has no option 'detla'"):
        get_law("chinchilla_parametric").read_options({"detla": 1.0})
