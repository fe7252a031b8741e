"""Markdown notes: what is rendered, and what never acts on the reader."""

from __future__ import annotations

import re

import pytest

from scaledash.lib.markdown import ATTRIBUTES, TAGS, find_names, read_words, render_markdown

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    '[x](https://a.example "onmouseover=alert(1)")',
    '[x](<https://a.example" onclick="alert(1)>)',
    "<https://a.example/?q=<script>>",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    '```" onmouseover=alert(1) x="\ncode\n```',
    "| <script> | b |\n|---|---|\n| <img src=x onerror=1> | `</td><script>` |",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!-- --><script>alert(1)</script>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    "*" * 5000,
    "[" * 5000,
    ">" * 5000 + "x",
    "\u202eevil\u202c <script>",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_t07_hostile_markdown_leaves_only_harmless_tags(text: str) -> None:
    html = render_markdown(text)
    for tag, attributes in re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)([^>]*)>", html):
        assert tag in TAGS
        names = set(re.findall(r'([a-zA-Z-]+)="[^"]*"', attributes))
        assert names <= ATTRIBUTES.get(tag, set()) | {"rel"}
    assert set(re.findall(r'href="([a-z]+):', html)) <= {"http", "https", "mailto"}


def test_t07_links_tell_nobody_where_the_reader_comes_from() -> None:
    html = render_markdown("[paper](https://arxiv.example/abs)")
    assert 'href="https://arxiv.example/abs"' in html
    assert 'rel="noopener nofollow noreferrer"' in html


def test_t07_images_are_not_loaded() -> None:
    assert "<img" not in render_markdown("![plot](https://a.example/p.png)")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold** and *it*", "<strong>bold</strong> and <em>it</em>"),
        ("- a\n- b", "<li>a</li>"),
        ("a ~~b~~", "<s>b</s>"),
        ("| a |\n|---|\n| 1 |", "<td>1</td>"),
        ("# Title", "<h3>Title</h3>"),
        ("`lr = 3e-4`", "<code>lr = 3e-4</code>"),
        ("one\ntwo", "one<br>"),
        ("loss < 2 & falling", "loss &lt; 2 &amp; falling"),
    ],
)
def test_markdown_of_notes_is_rendered(text: str, html: str) -> None:
    assert html in render_markdown(text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("@ann, @bob", "<mark>@ann</mark>, @bob"),
        ("ask @ann.", "<mark>@ann</mark>."),
        ("**@ann**", "<strong><mark>@ann</mark></strong>"),
        ("@ann_b and @ann", "@ann_b and <mark>@ann</mark>"),
        ("`@ann`", "<code>@ann</code>"),
        ("x@ann @@ann", "x@ann @@ann"),
        ("@ann<b>&", "<mark>@ann</mark>&lt;b&gt;&amp;"),
    ],
)
def test_names_of_members_are_marked_and_others_stay_text(text: str, html: str) -> None:
    assert html in render_markdown(text, {"ann"})
    assert "<mark>" not in render_markdown(text)


def test_names_are_found_in_words_not_in_code_or_links() -> None:
    text = (
        "@a and\n\n- @b.c.\n\n`@d` [@e](https://x.example) f@g\n\n    @h\n\n| @i |\n|---|\n| @j |"
    )
    assert find_names(text) == {"a", "b.c", "i", "j"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a **b** `c`\nd", "a b c d"),
        ("# Title\n\n- one\n- [two](https://x.example)", "Title one two"),
        ("```\nx = 1\n```\n\nthen <b>&", "x = 1 then <b>&"),
    ],
)
def test_words_of_a_note_without_its_markup(text: str, words: str) -> None:
    assert read_words(text) == words
