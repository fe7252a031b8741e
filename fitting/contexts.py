"""What the pages of studies show; their JSON twins answer with the same documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from fitting.absent import list_absent
from fitting.axes import AXIS_TITLES
from fitting.comparison_figures import COMPARISON_FIGURES
from fitting.compute_page import build_compute, summarise_compute
from fitting.coverage import describe_coverage
from fitting.figures import FIGURES
from fitting.models import Estimator, Study
from fitting.optima import (
    build_legend,
    describe_laws,
    describe_optima,
    describe_variants,
    summarise,
)
from fitting.queries import StudyView, find_version
from fitting.rows import StudyRow
from fitting.switches import build_switches
from fitting.tabs import (
    COMPUTE_TABS,
    FIRST,
    HISTORY,
    OPTION_KEYS,
    SWITCHES,
    TABS,
    TALL,
    choose_tab,
    is_tab_off,
    list_analyses,
    list_figures,
    list_tabs,
)
from fitting.texts import format_loss
from fitting.variants import (
    FEW,
    MANY,
    choose_drawn,
    describe_shared,
    name_variants,
    order_labels,
)
from fitting.versions import build_histories
from runs.models import RunState
from scaledash.lib.units import format_quantity

ESTIMATOR_TEXTS = {
    Estimator.LAST: "last value",
    Estimator.TAIL_MEAN: "mean of the tail",
    Estimator.TAIL_MEDIAN: "median of the tail",
    Estimator.EMA: "moving average",
    Estimator.BEST: "best value",
}
AXIS_LABELS = {"n": "N", "d": "D", "c": "C", "lr": "LR"}


def describe_study(study: Study) -> dict[str, object]:
    """Return a study as one row of the list."""
    return {
        "slug": study.slug,
        "name": study.name,
        "description": study.description,
        "selection": describe_selection(study),
        "n_runs": study.n_runs,
        "n_running": study.n_running,
        "n_diverged": study.n_diverged,
        "n_excluded": study.n_excluded,
        "changed_at": study.changed_at,
        "url": reverse("study", args=[study.project.slug, study.slug]),
    }


def describe_selection(study: Study) -> str:
    """Say which runs belong to the study."""
    kind = study.selection.get("kind", "list")
    if kind == "group":
        return f"group {study.selection['group']}"
    return "every run of the project" if kind == "all" else "chosen runs"


def build_study(view: StudyView, tab: str, options: Mapping[str, str]) -> dict[str, object]:
    """Return the document of a study's page.

    Of the page's `options` it follows `variant`, the one whose compute-optimal analysis is shown,
    and `c`, the budget of the what-if panel.
    """
    compute = build_compute(view, options.get("variant", ""), options.get("c", ""))
    shown = TABS.get(tab)
    result = view.result
    optima, laws = describe_optima(result), describe_laws(result)
    rows = view.rows.rows
    names = name_variants(row.variant for row in rows)
    variants = describe_variants(result, names)
    wanted = options.get("variant", "")
    order = order_labels(rows)
    drawn = choose_drawn(rows, wanted)
    optima.sort(key=lambda row: order.index(row.variant) if row.variant in order else len(order))
    chosen = (item for item in variants if item["variant"] in drawn)
    columns = sorted(chosen, key=lambda item: order.index(item["variant"]))
    return {
        "study": _describe_head(view.study),
        "tab": tab,
        "fit": describe_fit(view),
        "progress": vars(view.progress),
        "definition": describe_definition(view),
        "kpis": _mark_off(
            view,
            tab,
            _summarise(view, tab, options, compute) or summarise(result, optima, laws, rows, names),
        ),
        "variants": variants,
        "variant_texts": names,
        "chosen_variant": wanted if wanted in names else "",
        "legend": build_legend(optima, columns, [row.n for row in rows if row.is_drawn]),
        "legend_variants": columns,
        "optima": [asdict(row) for row in optima],
        "laws": [asdict(law) for law in laws],
        "refusal": (result or {}).get("refusal"),
        "warnings": list(view.rows.warnings),
        **compute,
        "exclusions": describe_exclusions(view, (shown or TABS[choose_tab(view)]).result(view)),
        "absent": list_absent(view),
        "is_tab_off": not view.progress.is_pinned and is_tab_off(view, tab),
        "switches": []
        if view.progress.is_pinned
        else build_switches(view, list_analyses(view, tab)),
        "coverage": describe_coverage(view, drawn),
        **(shown.describe(view, options) if shown else {}),
        **(build_histories(view.study) if tab == HISTORY else {}),
        "n_runs": len(rows),
        "runs": [describe_row(row) for row in sorted(rows, key=lambda row: not row.excluded)],
    }


def _mark_off(view: StudyView, tab: str, kpis: list[dict[str, object]]) -> list[dict[str, object]]:
    """Say beside numbers that are missing that their analysis is switched off."""
    if not is_tab_off(view, tab if TABS.get(tab) and TABS[tab].analysis else FIRST):
        return kpis
    return [kpi if kpi["value"] else {**kpi, "basis": "switched off"} for kpi in kpis]


def _summarise(
    view: StudyView, tab: str, options: Mapping[str, str], compute: Mapping[str, Any]
) -> list[dict[str, object]]:
    """Return the row of numbers of a tab that has one of its own."""
    shown = tab if tab in TABS else choose_tab(view)
    own = TABS[shown].summarise
    if own is not None:
        return own(view, options)
    return summarise_compute(view, compute) if shown in COMPUTE_TABS else []


def _describe_head(study: Study) -> dict[str, object]:
    return {
        "id": study.pk,
        "slug": study.slug,
        "name": study.name,
        "description": study.description,
        "project": study.project.slug,
    }


def describe_fit(view: StudyView) -> dict[str, object] | None:
    """Return what the log of fits says of the shown one."""
    fit = view.fit
    if fit is None:
        return None
    result = fit.result
    settings = result.get("settings", {})
    return {
        "version": find_version(fit),
        "analysis": fit.analysis,
        "kind": fit.kind,
        "n_runs": result["n_runs"],
        "n_used": result["n_used"],
        "digest": fit.input_digest,
        "created_at": fit.created_at,
        "data_at": fit.data_at,
        "lag_seconds": fit.lag_seconds,
        "replicas": settings.get("replicas"),
        "seed": settings.get("seed"),
        "method": "parabola in log LR through the best points",
    }


def describe_definition(view: StudyView) -> list[dict[str, object]]:
    """Return the definition line: which runs, and what is read as what."""
    study, rows = view.study, view.rows
    selected: dict[str, object] = {
        "label": "Runs",
        "value": describe_selection(study),
        "note": f"{len(rows.rows)}",
    }
    loss: dict[str, object] = {
        "label": "Loss",
        "value": rows.logged_loss,
        "title": f"Read as {rows.loss_metric}" if rows.logged_loss != rows.loss_metric else "",
        "note": ESTIMATOR_TEXTS[Estimator(study.estimator)],
        "is_code": True,
    }
    axes: list[dict[str, object]] = [
        {
            "label": label,
            "value": rows.sources[axis],
            "title": AXIS_TITLES.get(rows.sources[axis], ""),
            "is_code": True,
        }
        for axis, label in AXIS_LABELS.items()
    ]
    keys = ", ".join(rows.variant_keys)
    variants: dict[str, object] = {
        "label": "Variants",
        "value": keys or "none",
        "note": "" if rows.are_variants_chosen or not keys else "found",
        "is_code": bool(keys),
    }
    shared = describe_shared(row.variant for row in rows.rows)
    baseline: dict[str, object] = {
        "label": "Baseline",
        "value": shared,
        "title": "The commonest settings, which names of variants leave out",
        "is_code": True,
    }
    other: dict[str, object] = {
        "label": "Against",
        "value": study.compared_with,
        "title": "The study whose ladder is drawn beside this one's, in the tab Variants",
        "is_code": True,
    }
    last = [*([baseline] if shared else []), *([other] if study.compared_with else [])]
    return [selected, loss, *axes, variants, *last]


def describe_exclusions(
    view: StudyView, shown: Mapping[str, Any] | None
) -> list[dict[str, object]]:
    """Say which runs are outside the shown analysis, and why: by rule, then by hand."""
    result: Mapping[str, Any] = shown or {}
    found = [
        {"rule": item["rule"], "sentence": item["sentence"], "count": item["count"]}
        for item in result.get("exclusions", [])
        if item["count"]
    ]
    by_hand: dict[str, int] = {}
    for row in view.rows.rows:
        if row.excluded:
            reason = row.exclusion_reason or "no reason given"
            by_hand[reason] = by_hand.get(reason, 0) + 1
    return found + [
        {"rule": "by_hand", "sentence": f"left out by hand: {reason}", "count": count}
        for reason, count in by_hand.items()
    ]


def describe_row(row: StudyRow) -> dict[str, object]:
    """Return one run of the study; a number that is not known is None."""
    numbers = {
        name: value if math.isfinite(value) else None
        for name, value in {"n": row.n, "d": row.d, "c": row.c, "lr": row.lr}.items()
    }
    return {
        "uid": row.uid,
        "name": row.name,
        **numbers,
        "n_text": format_quantity(numbers["n"]),
        "d_text": format_quantity(numbers["d"]),
        "lr_text": format_quantity(numbers["lr"]),
        "loss": row.loss,
        "loss_text": format_loss(row.loss),
        "is_provisional": row.is_provisional or row.state == RunState.RUNNING,
        "variant": row.variant,
        "state": row.state,
        "outcome": "diverged" if row.diverged else row.outcome,
        "last_step": row.last_step,
        "excluded": row.excluded,
        "exclusion_reason": row.exclusion_reason,
        "takes_part": row.takes_part,
    }


def build_study_page(
    view: StudyView, document: Mapping[str, object], tab: str, query: str
) -> dict[str, object]:
    """Return what the HTML of the page needs beside its document: URLs, tabs, figures."""
    study, rows = view.study, view.rows.rows
    place, variant = [study.project.slug, study.slug], str(document["shown_variant"])
    here, twin = reverse("study", args=place), reverse("study-json", args=place)
    is_running = any(row.state == RunState.RUNNING for row in rows)
    first = choose_tab(view)
    links = _link_variants(here, tab, document)
    return {
        **document,
        "shows_compute": tab in COMPUTE_TABS,
        "variant_links": links,
        "max_links": MANY,
        "n_few": FEW,
        "rows": document["optima"],
        "n_variants": len(document["variants"]),
        "study_url": here,
        "empty_sentence": view.progress.sentence,
        "json_url": f"{twin}?{query}" if query else twin,
        "run_url": reverse("run", args=[study.project.slug, "__run__"]),
        "tabs": [
            {
                "key": key,
                "label": TABS[key].label,
                "count": len(rows) if key == "runs" else None,
                "url": _build_url(here, key, first, variant),
            }
            for key in list_tabs(view, tab)
        ],
        "figures": [
            _describe_figure(place, name, bool(links)) for name in list_figures(view, tab, variant)
        ],
        "is_active": is_running or view.progress.state == "stale",
    }


def _build_url(here: str, tab: str, first: str, variant: str) -> str:
    """Return the address of a tab; the compute-optimal ones keep the shown variant."""
    query = {} if tab == first else {"tab": tab}
    if variant and tab in COMPUTE_TABS:
        query["variant"] = variant
    return f"{here}?{urlencode(query)}" if query else here


def _link_variants(here: str, tab: str, document: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the variants that a reader can choose from; the sweep draws them all where it can."""
    texts, labels, shown = (
        document[key] for key in ("variant_texts", "compute_variants", "shown_variant")
    )
    if tab not in COMPUTE_TABS:
        labels, shown = list(texts), document["chosen_variant"]
        if tab != FIRST or len(labels) <= MANY:
            return []
    return [
        {
            "label": label,
            "text": texts.get(label, label) or "all runs",
            "url": f"{here}?{urlencode({'tab': tab, 'variant': label})}",
            "is_shown": label == shown,
        }
        for label in labels
    ]


def _describe_figure(place: Sequence[str], name: str, has_variants: bool) -> dict[str, object]:
    keys = [*OPTION_KEYS.get(name, ())]
    if has_variants or name in COMPARISON_FIGURES:
        keys.append("variant")
    return {
        "name": name,
        "title": FIGURES[name].title,
        "src": reverse("study-figure", args=[*place, name]),
        "parts": "fit runs study",
        "tall": name in TALL,
        "options": [SWITCHES[key] for key in keys if key in SWITCHES],
        "option_keys": " ".join(keys),
    }
