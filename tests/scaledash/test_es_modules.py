"""Our modules as one script: what each exports arrives where it is imported."""

from __future__ import annotations

import re

import pytest

from scaledash.lib.es_modules import join_modules
from scaledash.templatetags.modules import preload_modules

MODULES = {
    "a.js": 'import { half as cut } from "./b.js";\nimport { one } from "./c.js";\ncut(one);\n',
    "b.js": 'import {\n  one,\n} from "./c.js";\nexport function half(x) {\n  return x / one;\n}\n',
    "c.js": "export const one = 1;\n",
    "d.js": "export const one = 2;\n",
}


def test_what_is_imported_comes_first_and_once() -> None:
    script = join_modules("a.js", MODULES.__getitem__)
    places = [script.index(f'modules["{name}"] =') for name in ("c.js", "b.js", "a.js")]
    assert places == sorted(places)
    assert script.count('modules["c.js"] =') == 1


def test_names_keep_their_aliases_and_exports() -> None:
    script = join_modules("a.js", MODULES.__getitem__)
    assert 'const { half: cut } = modules["b.js"];' in script
    assert "return { half };" in script
    assert "\nimport" not in script
    assert "\nexport" not in script


def test_another_module_can_stand_in() -> None:
    script = join_modules("a.js", MODULES.__getitem__, {"c.js": "d.js"})
    assert "const one = 2;" in script
    assert "const one = 1;" not in script


@pytest.mark.parametrize("line", ['import "./b.js";', "export default 1;"])
def test_a_style_it_cannot_read_is_refused_by_name(line: str) -> None:
    with pytest.raises(ValueError, match=r"a\.js: .*another style"):
        join_modules("a.js", {"a.js": line}.__getitem__)


def test_a_page_links_to_every_module_that_is_imported_at_once() -> None:
    links = preload_modules("page", "explore")
    names = re.findall(r"js/(\w+)(?:\.[0-9a-f]{12})?\.js", links)
    assert {"page", "poll", "http", "explore", "explore_chart", "chart", "payload"} <= set(names)
    assert "explore_export" not in names
    assert len(names) == len(set(names)) == links.count('rel="modulepreload"')
