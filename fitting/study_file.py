"""A study as one HTML file that opens anywhere: figures, tables, exclusions, provenance.

The file holds what a frozen share link holds, rendered from the same templates, with the plotting
library and every document inside it. Its own content security policy names the two scripts by
their hashes and allows no request at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from fitting import contexts, tabs
from fitting.models import Fit, Study
from fitting.queries import (
    COMPUTE_OPTIMAL,
    INSTABILITY,
    LR_SWEEP,
    StudyView,
    find_version,
    view_study,
)
from fitting.share_study import FIGURES, list_figure, list_states
from scaledash.lib.es_modules import join_modules
from scaledash.middleware import find_base_url
from teams.sealing import PLACE, number_ids, seal_html

STYLES = (
    "tokens", "base", "layout", "header", "button", "card", "form", "table", "runs_table", "pill",
    "verdict", "kpi", "figure", "coverage", "code", "prose", "header_small", "study_file", "print",
)  # fmt: skip
PLOTLY = "vendor/plotly/plotly-cartesian.min.js"
ENTRY, READER = "study_file.js", {"http.js": "file_documents.js"}
TITLES = {LR_SWEEP: "LR sweep", COMPUTE_OPTIMAL: "Compute-optimal", INSTABILITY: "Instabilities"}
SECTIONS = "<!--sections-->"  # no text can hold it: templates escape the sign it begins with
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def answer_file(request: HttpRequest, study: Study) -> StreamingHttpResponse:
    """Answer the file as a download, written while it is read."""
    view = view_study(study)
    version = f"-v{find_version(view.fit)}" if view.fit else ""
    name = f"scaledash-{study.slug}{version}.html"
    return StreamingHttpResponse(
        write_file(view, find_base_url(request)),
        content_type="text/html; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def write_file(view: StudyView, base_url: str) -> Iterator[bytes]:
    """Yield the file in pieces: head, sections with their documents, scripts."""
    scripts = [read_static(PLOTLY), join_modules(ENTRY, read_module, READER)]
    for script in scripts:
        check_script(script)
    shell = render_to_string("fitting/study_file.html", build_shell(view, base_url, scripts))
    head, _, tail = shell.partition(SECTIONS)
    yield head.encode()
    for number, (tab, variant) in enumerate(list_sections(view)):
        context = build_section(view, tab, variant)
        yield render_section(view.study, context, number).encode()
        for figure in context["figures"]:
            for name, document in list_figure(view, figure, [variant]):
                yield embed_document(name, document)
    for script in scripts:
        yield f"<script>{script}</script>\n".encode()
    yield tail.encode()


def list_sections(view: StudyView) -> list[tuple[str, str]]:
    """Return every tab; a tab of variants once for each of them."""
    states = list(list_states(view))
    split = {tab for tab, variant in states if variant}
    return [(tab, variant) for tab, variant in states if variant or tab not in split]


def build_section(view: StudyView, tab: str, variant: str) -> dict[str, object]:
    """Return the context of one tab for a reader who may change nothing."""
    query = QueryDict(mutable=True)
    query.update({"tab": tab, **({"variant": variant} if variant else {})})
    document = contexts.build_study(view, tab, query.dict())
    page = contexts.build_study_page(view, document, tab, query.urlencode())
    asked = f"?{QueryDict.fromkeys(['variant'], variant).urlencode()}" if variant else ""
    figures = [{**figure, "src": figure["src"] + asked} for figure in page["figures"]]
    return {
        **page,
        "figures": figures,
        "variant_links": [],
        "section_variant": variant,
        "section_title": tabs.TABS[tab].label,
        "tab_template": f"fitting/_tab_{tab}.html",
        "project": view.study.project,
        "page_base": "fitting/study_file.html",  # tells the tabs that nothing can be asked
    }


def render_section(study: Study, context: Mapping[str, object], number: int) -> str:
    """Return a tab without forms and addresses; its ids are its own."""
    here = reverse("study", args=[study.project.slug, study.slug])
    html = render_to_string("fitting/_study_section.html", dict(context))
    sealed = seal_html(html, {f"{here}/{FIGURES}": FIGURES}).replace(PLACE, "")
    return number_ids(sealed, number)


def build_shell(view: StudyView, base_url: str, scripts: Sequence[str]) -> dict[str, object]:
    """Return the context of what stands around the sections."""
    document = contexts.build_study(view, tabs.choose_tab(view), {})
    return {
        **document,
        "title": view.study.name,
        "project_name": view.study.project.name or view.study.project.slug,
        "made_at": timezone.now(),
        "address": base_url + reverse("study", args=[view.study.project.slug, view.study.slug]),
        "version": settings.VERSION,
        "fits": [describe_fit(fit) for fit in list_view_fits(view)],
        "policy": write_policy(scripts),
        "style": mark_safe("\n".join(map(read_style, STYLES))),  # nosec B308, B703
        "unscripted_style": read_style("unscripted"),
    }


def list_view_fits(view: StudyView) -> list[Fit]:
    """Return the fits that the file shows, each once."""
    held = [getattr(view, field.name) for field in fields(view)]
    return list({fit.pk: fit for fit in held if isinstance(fit, Fit)}.values())


def describe_fit(fit: Fit) -> dict[str, object]:
    """Return where the numbers of an analysis come from."""
    settings = fit.result.get("settings", {})
    return {
        "title": TITLES.get(fit.analysis, fit.analysis.replace("_", " ").capitalize()),
        "kind": fit.kind,
        "version": find_version(fit),
        "digest": fit.input_digest,
        "data_at": fit.data_at,
        "created_at": fit.created_at,
        "n_runs": fit.n_runs,
        "replicas": settings.get("replicas"),
        "seed": settings.get("seed"),
    }


def read_static(name: str) -> str:
    """Return one of our files as it is served."""
    path = finders.find(name)
    if not isinstance(path, str):
        raise FileNotFoundError(f"static file {name} is missing; `make up` fetches it")
    return Path(path).read_text(encoding="utf-8")


def read_module(name: str) -> str:
    """Return one of our modules."""
    return read_static(f"js/{name}")


def read_style(name: str) -> str:
    """Return one of our style sheets."""
    return read_static(f"css/{name}.css")


def check_script(script: str) -> None:
    """Refuse a script that the page's parser would end too early."""
    lowered = script.lower()
    if "</script" in lowered or "<!--" in lowered:
        raise ValueError("a script to embed holds '</script' or '<!--'")


def write_policy(scripts: Sequence[str]) -> str:
    """Return the policy of the file: these scripts, its own styles, no request."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embed_document(name: str, document: bytes) -> bytes:
    """Return a JSON document as a data block that no text in it can leave."""
    text = document.decode()
    for sign, code in UNSAFE.items():
        text = text.replace(sign, code)
    attribute = name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    block = f'<script type="application/json" data-document="{attribute}">{text}</script>\n'
    return block.encode()
