"""Join our own ES modules into one script, for a page that has to stand alone in a file.

A file opened from a disk may not import another one. Each module becomes a function of its own, so
that names never meet. It reads the one style that the modules here are written in: named imports
from a neighbour, one a line or over several, and `export` before a declaration.
"""

import re
from collections.abc import Callable, Mapping

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
LEFT_OVER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def join_modules(
    entry: str, read: Callable[[str], str], instead: Mapping[str, str] | None = None
) -> str:
    """Return one classic script that does what the module `entry` does.

    `read` gives the text of a module by its name; `instead` names a module to take in place of
    another one.
    """
    parts: dict[str, str] = {}
    _add(entry, parts, lambda name: read((instead or {}).get(name, name)))
    return "\n".join(['"use strict";', "const modules = {};", *parts.values()])


def _add(name: str, parts: dict[str, str], read: Callable[[str], str]) -> None:
    text = read(name)
    for _, wanted in IMPORT.findall(text):
        if wanted not in parts:
            _add(wanted, parts, read)
    body = EXPORT.sub("", IMPORT.sub(_take, text))
    unread = LEFT_OVER.search(body)
    if unread:
        raise ValueError(f"{name}: {unread[0]!r} is an import or export in another style.")
    exported = ", ".join(EXPORT.findall(text))
    parts[name] = f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();'


def _take(match: re.Match[str]) -> str:
    names, module = match.groups()
    return f'const {{{names.replace(" as ", ": ")}}} = modules["{module}"];'
