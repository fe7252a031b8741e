"""Markdown that people write, as HTML that is safe to show to others.

Two defences, each enough alone for scripts: the parser is told to know no HTML, and what it makes
passes an allow-list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

HEADING_SHIFT = 2  # a page has its own h1 and h2
TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a"),
    *("ul", "ol", "li", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td"),
    "mark",  # around the names of members
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}
LINK_REL = "noopener nofollow noreferrer"
MENTION = re.compile(r"(?<![\w@])@([\w.+-]{1,150})")

# An image would tell its host who reads the note and when: the source of one stays text and link.
_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True})
_PARSER.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])


def render_markdown(text: str, members: Collection[str] = ()) -> str:
    """Return the HTML of a note: no scripts, no images, links to the web and to mail only.

    An @name of one of the members is marked; every other one stays the text that it is.
    """
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADING_SHIFT)}"
        if token.children and members:
            token.children = list(_mark_names(token.children, members))
    return nh3.clean(
        str(_PARSER.renderer.render(tokens, _PARSER.options, {})),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel=LINK_REL,
    )


def read_words(text: str) -> str:
    """Return the words of a note in one line, without what formats them."""
    inline = (token for token in _PARSER.parse(text) if token.content)
    parts = (token.children or [token] for token in inline)
    lines = ("".join(_read_part(part) for part in line) for line in parts)
    return " ".join(" ".join(lines).split())


def _read_part(part: Token) -> str:
    return " " if part.type.endswith("break") else part.content


def find_names(text: str) -> set[str]:
    """Return whom a note names by @name; neither in code, nor in links, where it means no person.

    A full stop at the end is none of the name.
    """
    inline = (token.children or [] for token in _PARSER.parse(text))
    spoken = (part.content for children in inline for part in _list_spoken(children))
    return {name.rstrip(".") for words in spoken for name in MENTION.findall(words)}


def _list_spoken(children: list[Token]) -> list[Token]:
    """Return the parts of a line that are plain words."""
    found, n_links = [], 0
    for part in children:
        n_links += {"link_open": 1, "link_close": -1}.get(part.type, 0)
        if part.type == "text" and not n_links:
            found.append(part)
    return found


def _mark_names(children: list[Token], members: Collection[str]) -> Iterator[Token]:
    spoken = {id(part) for part in _list_spoken(children)}
    for part in children:
        if id(part) in spoken:
            yield from _split_names(part.content, members)
        else:
            yield part


def _split_names(words: str, members: Collection[str]) -> Iterator[Token]:
    end = 0
    for found in MENTION.finditer(words):
        name = found[1].rstrip(".")
        if name in members:
            yield Token("text", "", 0, content=words[end : found.start()])
            yield Token("mark_open", "mark", 1)
            yield Token("text", "", 0, content=f"@{name}")
            yield Token("mark_close", "mark", -1)
            end = found.start(1) + len(name)
    yield Token("text", "", 0, content=words[end:])
