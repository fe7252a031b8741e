"""Markdown that people write, as HTML that is safe to show to others.

Two defences, each enough alone for scripts: the parser is told to know no HTML, and what it makes
passes an allow-list.
"""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt

HEADING_SHIFT = 2  # a page has its own h1 and h2
TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a"),
    *("ul", "ol", "li", "h3", "h4", "h5", "h6"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}
LINK_REL = "noopener nofollow noreferrer"

# An image would tell its host who reads the note and when: the source of one stays text and link.
_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True})
_PARSER.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])


def render_markdown(text: str) -> str:
    """Return the HTML of a note: no scripts, no images, links to the web and to mail only."""
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADING_SHIFT)}"
    return nh3.clean(
        str(_PARSER.renderer.render(tokens, _PARSER.options, {})),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel=LINK_REL,
    )
