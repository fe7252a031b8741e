"""Earlier versions of a study's fits: what changed from one to the next and why, and a view of one.

A fit is never changed, so that a version is what it was; what changed is read off two of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fitting.models import Fit, FitKind, Study
from fitting.optima import describe_laws, describe_optima
from fitting.plots.compute_tables import describe_exponents
from fitting.queries import (
    COMPUTE_OPTIMAL,
    CRITICAL_BATCH,
    INSTABILITY,
    LR_BATCH,
    LR_SCHEDULE,
    LR_SWEEP,
    MEMBERS,
    RL_SIGMOID,
    TITLES,
    Progress,
    StudyView,
    find_version,
    list_fits,
)
from fitting.results import as_refusal
from fitting.rows import StudyRow
from fitting.tabs import ANALYSIS_OF, find_figure_analysis
from fitting.texts import format_number
from fitting.variants import name_variants
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

# analysis -> the tab at which its versions are looked at
TABS = {
    LR_SWEEP: "lr",
    LR_BATCH: "lr",
    COMPUTE_OPTIMAL: "isoflop",
    LR_SCHEDULE: "schedule",
    CRITICAL_BATCH: "critical",
    RL_SIGMOID: "sigmoid",
    INSTABILITY: "instab",
}
ALWAYS = (LR_SWEEP, COMPUTE_OPTIMAL)  # of the others those that ever found something
SHOWN = 20
NAMED = 3  # runs by name in a sentence
MAX_MOVED = 4  # results by name in a sentence
SETTING_TEXTS = {
    "replicas": "replicas",
    "seed": "seed",
    "estimator": "estimator of the loss",
    "off": "off",
}


@dataclass(frozen=True)
class Change:
    """Why a version differs from the one before it, and in what."""

    why: tuple[str, ...]
    what: tuple[str, ...]


def build_histories(study: Study) -> dict[str, object]:
    """Return the document of the tab."""
    names = dict(study.study_runs.values_list("run__uid", "run__name"))
    listed = [name for name in TABS if name in ALWAYS or _is_refused(study, name) is False]
    return {"history": [build_history(study, name, names) for name in listed]}


def _is_refused(study: Study, analysis: str) -> bool | None:
    """Say whether the newest fit found nothing; None where there is no fit."""
    newest = Fit.objects.filter(study=study, analysis=analysis).order_by("-pk")
    refusal = newest.values_list("result__refusal", flat=True).first()
    return bool(refusal) if newest.exists() else None


def build_history(
    study: Study, analysis: str, names: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return the newest versions of an analysis, each with what changed from the one before.

    `names` are those of the study's runs by their ids.
    """
    fits = list(list_fits(study, analysis)[: SHOWN + 1])
    pairs = zip(fits[:SHOWN], [*fits[1:], None], strict=False)
    return {
        "analysis": analysis,
        "title": TITLES[analysis],
        "total": fits[0].version if fits else 0,
        "versions": [_describe(fit, before, names or {}) for fit, before in pairs],
    }


def _describe(fit: Fit, before: Fit | None, names: Mapping[str, str]) -> dict[str, object]:
    change = describe_change(before, fit, names)
    return {
        "version": fit.version,
        "kind": fit.kind,
        "tab": TABS[fit.analysis],
        "law": fit.analysis if fit.analysis in ANALYSIS_OF.values() else "",
        "created_at": fit.created_at,
        "data_at": fit.data_at,
        "lag_seconds": fit.lag_seconds,
        "duration_seconds": fit.duration_seconds,
        "n_runs": fit.n_runs,
        "n_used": fit.result.get("n_used"),
        "digest": fit.input_digest,
        "why": list(change.why),
        "what": list(change.what),
    }


def describe_change(
    before: Fit | None, after: Fit, names: Mapping[str, str] | None = None
) -> Change:
    """Say why a fit differs from the one before it, and in what; runs go by their names."""
    if before is None:
        return Change(("the first fit",), ())
    why = [*_compare_runs(before.result, after.result, names or {})]
    if not why or before.kind == after.kind:  # else more replicas are what a deep fit is
        why += _compare_settings(before, after)
    if not why:
        why = [_compare_digests(before, after)]
    what = list(_compare_results(before.result, after.result, after.analysis))
    return Change(tuple(why), tuple(what))


def _compare_digests(before: Fit, after: Fit) -> str:
    """Say what is left where neither losses nor settings differ."""
    if before.input_digest == after.input_digest:
        return "the same data"
    if "losses" in after.result:
        return "sizes, variants or other facts of runs changed"
    if before.n_runs != after.n_runs:
        return f"{before.n_runs} \N{RIGHTWARDS ARROW} {after.n_runs} runs"
    return "newer points of the runs"


def _compare_runs(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[str]:
    if "losses" not in before or "losses" not in after:
        return
    old, new = before["losses"], after["losses"]
    yield from _name_runs("joined", sorted(set(new) - set(old)), names)
    yield from _name_runs("left", sorted(set(old) - set(new)), names)
    moved = [uid for uid in new if uid in old and new[uid][1] != old[uid][1]]
    yield from _name_runs("with another final loss", sorted(moved), names)


def _name_runs(text: str, uids: list[str], names: Mapping[str, str]) -> Iterator[str]:
    if uids:
        rest = f" and {len(uids) - NAMED} more" if len(uids) > NAMED else ""
        plural = "s" if len(uids) > 1 else ""
        shown = [names.get(uid) or uid for uid in uids[:NAMED]]
        yield f"{len(uids)} run{plural} {text}: {', '.join(shown)}{rest}"


def _compare_settings(before: Fit, after: Fit) -> Iterator[str]:
    old, new = before.result["settings"], after.result["settings"]
    for name in sorted({*old, *new}):
        is_known = old.get(name) or new.get(name)  # else a setting that came with a later version
        if is_known and old.get(name) != new.get(name):
            text = SETTING_TEXTS.get(name, name.replace("_", " "))
            yield f"{text}: {_write(old.get(name))} \N{RIGHTWARDS ARROW} {_write(new.get(name))}"
    for name, text in (("loss_metric", "loss"), ("variant_keys", "variants"), ("sources", "axes")):
        if before.result[name] != after.result[name]:
            yield f"{text} read otherwise"


def _write(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value) if isinstance(value, Mapping | list) else str(value)


def _compare_results(
    before: Mapping[str, Any], after: Mapping[str, Any], analysis: str
) -> Iterator[str]:
    list_texts = RESULT_TEXTS.get(analysis)
    if list_texts is None:
        return
    old, new = dict(list_texts(before)), dict(list_texts(after))
    moved = [name for name in new if (old.get(name) or "") != new[name]]
    variants = name_variants(item["variant"] for item in after.get("variants", []))
    for name in moved[:MAX_MOVED]:
        first = old.get(name) or "none"
        text = _shorten(name, variants)
        yield f"{text}: {first} \N{RIGHTWARDS ARROW} {new[name] or 'none'}"
    if len(moved) > MAX_MOVED:
        yield f"{len(moved) - MAX_MOVED} more results moved"


def _shorten(name: str, variants: Mapping[str, str]) -> str:
    """Call the variant that the name of a number ends with as pages do."""
    for label, short in variants.items():
        if label and name.endswith(label):
            return name.removesuffix(label) + short
    return name


def _list_sweep(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers of a sweep as text, the laws first."""
    for law in describe_laws(result):
        yield f"exponent of LR*, {law.variant}", law.exponent_text
    for row in reversed(describe_optima(result)):
        yield f"LR* at N = {row.size_text} {row.variant}".strip(), row.lr_text


def _list_compute(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for variant in result["variants"]:
        for row in describe_exponents(variant):
            name = f"N* exponent, {row['title']} {variant['variant']}".strip()
            yield name, str(row.get("a_text", ""))


def _list_crossings(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for item in result.get("forecasts", []):
        name = f"logits at LR {item['lr']:g} {item['variant']}".strip()
        size = item["crossing"]
        yield (
            name,
            f"{result['limit']:,.0f} at N = {format_quantity(size)}" if size else "no growth",
        )


def _list_scores(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for curve in result.get("curves", []):
        if not as_refusal(curve["fit"]):
            asymptote = format_number(curve["fit"]["params"]["A"]["value"])
            yield f"A of {curve['variant'] or curve['run_id']}", asymptote


def _list_critical(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for family in result.get("families", []):
        lowest = family["targets"][0]["fit"]
        if not as_refusal(lowest):
            name = f"B_crit at N = {format_quantity(family['n_params'])} {family['variant']}"
            yield name.strip(), format_number(lowest["derived"]["B_crit"]["value"])


def _list_batches(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield LR* and B* of each cell as text."""
    for variant in result.get("variants", []):
        for cell in variant["cells"]:
            if not as_refusal(cell["refusal"]):
                size, tokens = (format_quantity(cell[key]) for key in ("n_params", "n_tokens"))
                name = f"at N = {size}, D = {tokens} {variant['variant']}".strip()
                yield f"LR* {name}", format_number(cell["lr"]["value"])
                yield f"B* {name}", format_quantity(decode_float(cell["batch"]["value"]))


RESULT_TEXTS = {
    LR_SWEEP: _list_sweep,
    LR_BATCH: _list_batches,
    COMPUTE_OPTIMAL: _list_compute,
    CRITICAL_BATCH: _list_critical,
    RL_SIGMOID: _list_scores,
    INSTABILITY: _list_crossings,
}


def add_history(page: dict[str, Any], pinned: str) -> dict[str, Any]:
    """Return what the page of a study needs with the tab of its history, and figures of the
    analysis `pinned` that keep to the version that the address names.
    """
    tab = {"key": "history", "label": "History", "count": None}
    url = f"{page['study_url']}?tab=history"
    figures = [
        {**figure, "option_keys": f"{figure['option_keys']} version".strip()}
        if pinned and find_figure_analysis(figure["name"]) == pinned
        else figure
        for figure in page["figures"]
    ]
    return {**page, "figures": figures, "tabs": [*page["tabs"], {**tab, "url": url}]}


def pin_version(view: StudyView, analysis: str, version: int) -> StudyView | None:
    """Return the study as a version of its fit saw it; None where there is no such version.

    Runs have the final losses of then; those that took no part are left out. Sizes, learning rates
    and variants of runs are those of today.
    """
    fits = list_fits(view.study, analysis).order_by("pk")
    fit = fits[version - 1 : version].first() if version > 0 else None
    if fit is None:
        return None
    losses = fit.result.get("losses")  # of analyses whose versions are compared run by run
    rows = view.rows
    if losses is not None:
        rows = replace(rows, rows=tuple(_take_losses(rows.rows, losses)))
    sentence = f"Version {version}, of {fit.data_at:%Y-%m-%d %H:%M} UTC."
    progress = Progress("ready", sentence, 1, 1, "", fit.data_at.isoformat(), is_pinned=True)
    off = {name: row for name, row in view.off.items() if name != analysis}
    pinned = replace(view, rows=rows, progress=progress, off=off)
    if analysis != COMPUTE_OPTIMAL:
        return replace(pinned, **{MEMBERS[analysis][0]: fit})
    deep = list_fits(view.study, analysis).filter(pk__lte=fit.pk, kind=FitKind.DEEP).first()
    return replace(pinned, compute_fit=fit, envelope_fit=deep)


def _take_losses(rows: Iterable[StudyRow], losses: Mapping[str, Any]) -> Iterator[StudyRow]:
    for row in rows:
        if row.uid in losses:
            loss = decode_float(losses[row.uid][1])
            then = {"excluded": False, "is_provisional": False, "loss": row.loss}
            yield replace(row, **(then if loss is None else {**then, "loss": loss}))


def describe_pin(view: StudyView, analysis: str) -> dict[str, object]:
    """Return what the page says above an earlier version."""
    fit = getattr(view, MEMBERS[analysis][0])
    assert isinstance(fit, Fit)
    version = find_version(fit)
    before = list_fits(view.study, analysis).filter(pk__lt=fit.pk).first()
    change = describe_change(before, fit)
    newest = list_fits(view.study, analysis).first()
    return {
        "title": TITLES[analysis],
        "version": version,
        "total": find_version(newest) if newest else version,
        "kind": fit.kind,
        "data_at": fit.data_at,
        "n_missing": len(set(fit.result.get("losses", ())) - {row.uid for row in view.rows.rows}),
        "why": list(change.why),
        "what": list(change.what),
    }
