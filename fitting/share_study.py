"""Share links of one study: its page with every tab and figure, live or copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse

from fitting import contexts, figures, tabs
from fitting.models import Study
from fitting.queries import StudyView, list_studies, read_revision, view_study
from teams import sharing
from teams.models import Project, Share
from teams.principals import Principal
from teams.sealing import seal_html, seal_json

FIGURES = "figures/"
TWIN = "page.json"
DEFAULT = ""  # the options of a figure that no button has changed


class StudyShare:
    """Links to one study."""

    name = "study"
    takes = (sharing.NOTES, sharing.COMMENTS)

    def choose(
        self, principal: Principal, project: Project, query: QueryDict
    ) -> sharing.Subject | None:
        """Return the study of this slug in the project."""
        study = list_studies(principal, project).filter(slug=query.get("id", "")).first()
        return None if study is None else sharing.Subject({"study": study.pk}, study.name)

    def build_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return the study's page as it is now."""
        study = find_study(share)
        if study is None:
            return None
        rev = read_revision(study)["rev"]
        view = view_study(study)
        context = build_context(view, find_tab(query, view), query)
        return sharing.SharedPage(render_study(study, context), rev, context["is_active"])

    def read_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the study's document, one of its figures, or its revision."""
        study = find_study(share)
        if study is None:
            return None
        revision = read_revision(study)
        if part == "rev.json":
            return revision
        if part == TWIN:
            view = view_study(study)
            return seal_json(contexts.build_study(view, find_tab(query, view), query.dict()))
        name = part.removeprefix(FIGURES).removesuffix(".json")
        if part != name_figure(name):
            return None
        return figures.build_figure(name, view_study(study), query.dict(), revision["rev"])

    def freeze(self, share: Share) -> tuple[str, Iterable[tuple[str, bytes]]]:
        """Copy every tab and every figure in each of its options."""
        study = find_study(share)
        assert study is not None  # it has just been chosen
        view = view_study(study)
        fit = contexts.describe_fit(view)
        basis = f"fit version {fit['version']}" if fit else "no fit yet"
        return basis, list_documents(view)

    def build_frozen_page(self, share: Share, query: QueryDict) -> sharing.SharedPage | None:
        """Return a tab of the study's page as it was."""
        html = sharing.load_document(share, name_tab(query.get("tab", ""), find_variant(query)))
        html = html or sharing.load_document(share, name_tab("", ""))
        return None if html is None else sharing.SharedPage(html.decode())

    def read_frozen_part(self, share: Share, part: str, query: QueryDict) -> object | None:
        """Return the study's document or one of its figures as it was."""
        if part == TWIN:
            twin = name_twin(query.get("tab", ""), find_variant(query))
            return sharing.load_json(share, twin) or sharing.load_json(share, name_twin("", ""))
        if not part.startswith(FIGURES):
            return None
        wanted = sharing.load_json(share, f"{part}?{name_options(query.dict())}")
        return wanted or sharing.load_json(share, f"{part}?{DEFAULT}")


def find_study(share: Share) -> Study | None:
    """Return the shared study without what a link never shows: its project, its description."""
    studies = Study.objects.filter(project=share.project_id, deleted_at=None)
    study = studies.filter(pk=share.subject["study"]).first()
    if study is None:
        return None
    study.project = sharing.hide_project(share.project)
    if not share.with_notes:
        study.description = ""
    return study


def find_tab(query: QueryDict, view: StudyView) -> str:
    """Return the tab that the address names, else the one the study opens with."""
    tab = query.get("tab", "")
    return tab if tab in tabs.TABS else tabs.choose_tab(view)


def find_variant(query: QueryDict) -> str:
    """Return the variant that the address names; a tab without variants ignores it."""
    return query.get("variant", "") if query.get("tab") in tabs.COMPUTE_TABS else ""


def build_context(view: StudyView, tab: str, query: QueryDict) -> dict[str, object]:
    """Return the context of the study's page for a reader who may not edit."""
    document = contexts.build_study(view, tab, query.dict())
    return {
        **contexts.build_study_page(view, document, tab, query.urlencode()),
        "project": view.study.project,
        "page_base": "teams/share_content.html",
    }


def render_study(study: Study, context: Mapping[str, object]) -> str:
    """Return the content of the study's page with addresses below the link."""
    place = [study.project.slug, study.slug]
    here = reverse("study", args=place)
    served = {
        here: "",
        reverse("study-json", args=place): TWIN,
        f"{here}/{FIGURES}": FIGURES,
    }
    return seal_html(render_to_string("fitting/study.html", dict(context)), served)


def list_documents(view: StudyView) -> Iterator[tuple[str, bytes]]:
    """Return all that a frozen link answers with: the page as it opens, tabs, figures."""
    copied: set[str] = set()
    for tab, variant in [("", ""), *list_states(view)]:
        query = QueryDict(mutable=True)
        query.update({key: value for key, value in (("tab", tab), ("variant", variant)) if value})
        context = build_context(view, find_tab(query, view), query)
        yield name_tab(tab, variant), render_study(view.study, context).encode()
        document = contexts.build_study(view, find_tab(query, view), query.dict())
        yield name_twin(tab, variant), sharing.dump_json(seal_json(document))
        for figure in context["figures"]:
            if figure["name"] not in copied:
                copied.add(figure["name"])
                yield from list_figure(view, figure, sorted({"", *list_variants(view)}))


def list_states(view: StudyView) -> Iterator[tuple[str, str]]:
    """Return every tab, and the compute-optimal ones once more for each of their variants."""
    for tab in tabs.list_tabs(view, ""):
        yield tab, ""
        if tab in tabs.COMPUTE_TABS:
            yield from ((tab, variant) for variant in list_variants(view) if variant)


def list_variants(view: StudyView) -> list[str]:
    """Return the variants of the compute-optimal analysis."""
    return [item["variant"] for item in view.compute["variants"]] if view.compute else []


def list_figure(
    view: StudyView, figure: Mapping[str, object], variants: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Return one figure in each combination of its options; these variants, if it has any."""
    switches = [
        [(option["key"], value) for value, _ in option["choices"]] for option in figure["options"]
    ]
    if "variant" in str(figure["option_keys"]).split():
        switches.append([("variant", name) for name in variants])
    for chosen in product(*switches):
        options = {key: value for key, value in chosen if value}
        document = figures.build_figure(figure["name"], view, options, "")
        name = f"{name_figure(figure['name'])}?{name_options(options)}"
        yield name, sharing.dump_json(seal_json(document))


def name_tab(tab: str, variant: str) -> str:
    """Return the name of the document that holds a tab; "" is the page as it opens."""
    return f"page?tab={tab}&variant={variant}"


def name_twin(tab: str, variant: str) -> str:
    """Return the name of the twin of a tab."""
    return f"{TWIN}?tab={tab}&variant={variant}"


def name_figure(name: str) -> str:
    """Return the part below the link that answers a figure."""
    return f"{FIGURES}{name}.json"


def name_options(options: Mapping[str, str]) -> str:
    """Return the options of a figure as one text."""
    return "&".join(f"{key}={value}" for key, value in sorted(options.items()) if value)
