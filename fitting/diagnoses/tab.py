"""The instabilities tab of a study: forecasts in words, and its runs by first bad step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from fitting.diagnoses.pages import describe_verdict, rank_verdict
from fitting.diagnoses.queries import (
    BAD,
    NEVER,
    ORDER,
    list_bad,
    read_verdicts,
    sort_counts,
    summarise,
)
from fitting.diagnoses.study import count_by_diagnostic
from fitting.models import RunDiagnosis
from fitting.queries import StudyView
from fitting.texts import format_lr
from fitting.variants import name_variants
from scaledash.lib.units import format_quantity

MAX_ROWS = 200
FAR = 1e3  # times the largest size: a crossing beyond it is not spelt out


def build_instabilities(view: StudyView) -> dict[str, object]:
    """Return the forecasts, the runs by first bad step, and how many runs each severity has."""
    result: Mapping[str, Any] = view.instability or {}
    notable = [item for item in result.get("forecasts", []) if _is_notable(item)]
    diagnoses = read_verdicts(view.study)
    shown = {row.run_id: row for row in view.rows.rows}
    names = name_variants(row.variant for row in view.rows.rows)
    bad = [item for item in (_describe_run(found, shown) for found in diagnoses) if item]
    verdicts = list_verdicts(view, is_shared=True)
    bad.sort(key=lambda item: (item["first_step"] or NEVER, item["name"]))
    return {
        "verdicts": verdicts,
        "verdict_counts": sort_counts(Counter(str(item["severity"]) for item in verdicts)),
        "forecasts": [_describe_forecast(item) for item in notable],
        "quiet": _count_quiet(len(result.get("forecasts", [])) - len(notable), result),
        "refused": [_name_refusal(item, names) for item in result.get("refused", [])],
        "bad_runs": bad[:MAX_ROWS],
        "n_bad": len(bad),
        "n_diagnosed": len(diagnoses),
        "matrix": _build_matrix(diagnoses),
    }


def list_verdicts(view: StudyView, is_shared: bool = False) -> list[dict[str, Any]]:
    """Return the verdicts on the runs together, the worst first, unknown ones last."""
    stored: list[Mapping[str, Any]] = []
    for result in (view.result, view.instability):
        stored += (result or {}).get("verdicts", [])
    found = [
        {**describe_verdict(item, is_shared), "anchor": f"{item['diagnostic']}-{place}"}
        for place, item in enumerate(stored)
    ]
    return sorted(found, key=rank_verdict)


def _is_notable(forecast: Mapping[str, Any]) -> bool:
    """Say whether the limit is reached within reach of the runs, or at the study's target."""
    ratio = forecast["ratio"]
    return forecast["severity"] in BAD or (ratio is not None and ratio < FAR)


def _count_quiet(n: int, result: Mapping[str, Any]) -> str:
    if not n:
        return ""
    plural = "s" if n > 1 else ""
    return (
        f"At {n} other combination{plural} of learning rate and variant attention logits stay "
        f"below {result['limit']:,.0f} up to {FAR:,.0f} times these sizes."
    )


def _name_refusal(item: Mapping[str, Any], names: Mapping[str, str]) -> str:
    group = names.get(item["variant"], item["variant"]) or "all runs"
    return f"LR {format_lr(item['lr'])}, {group}: {item['refusal']['sentence']}"


def _describe_forecast(forecast: Mapping[str, Any]) -> dict[str, object]:
    return {
        "lr": forecast["lr"],
        "variant": forecast["variant"],
        "severity": forecast["severity"],
        "sentence": forecast["sentence"],
        "crossing": forecast["crossing"],
        "excluded": [format_quantity(size) for size in forecast["excluded"]],
    }


def _describe_run(found: RunDiagnosis, shown: Mapping[int, Any]) -> dict[str, Any] | None:
    """Return the run with its earliest bad verdict; None where none is bad."""
    row, bad = shown.get(found.run_id), list_bad(found.verdicts)
    if row is None or not bad:
        return None
    first = bad[0]
    worst = min((item["severity"] for item in bad), key=ORDER.index)
    return {
        "uid": row.uid,
        "name": row.name,
        "n_text": format_quantity(row.n),
        "lr_text": format_lr(row.lr),
        "variant": row.variant,
        "outcome": row.outcome,
        "worst": worst,
        "first_step": found.first_bad_step,
        "first_text": "" if found.first_bad_step is None else f"{found.first_bad_step:,}",
        "diagnostic": first["title"],
        "severity": first["severity"],
        "sentence": first["sentence"],
        "others": ", ".join(item["title"] for item in bad if item is not first),
        "summary": summarise(found.counts),
    }


def _build_matrix(diagnoses: Iterable[RunDiagnosis]) -> list[dict[str, object]]:
    """Return one row a diagnostic: its runs by severity, and the commonest reason of unknown."""
    found = list(diagnoses)
    counts = count_by_diagnostic(found)
    rows: dict[str, dict[str, Any]] = {}
    for diagnosis in found:
        for item in diagnosis.verdicts:
            row = rows.setdefault(
                item["diagnostic"],
                {"title": item["title"], "number": item["number"], "reasons": {}},
            )
            if item["severity"] == "unknown":
                reason = item["sentence"]
                row["reasons"][reason] = row["reasons"].get(reason, 0) + 1
    return [
        {
            "diagnostic": slug,
            "title": row["title"],
            "counts": [(name, counts[slug][name]) for name in ORDER if counts[slug].get(name)],
            "reason": max(row["reasons"], key=row["reasons"].get, default=""),
        }
        for slug, row in sorted(rows.items(), key=lambda entry: int(entry[1]["number"][1:]))
    ]
