"""Variants of a study against each other: which two are shown, their laws, crossing and gain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fitting.compute_results import decode
from fitting.law_table import Document, describe_law_fit
from fitting.palette import CATEGORIES, SYMBOLS, category_tone
from fitting.plots.crossover import format_crossing
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal
from fitting.texts import DASH, format_number, polish
from fitting.variants import name_variants, place_variants
from scaledash.lib.units import format_flops

Doc = Mapping[str, Any]
FORM = "power_law_constant"
ONE_VARIANT: RefusalDoc = {
    "code": "too_few_groups",
    "sentence": "a comparison needs the runs of two variants; this study has {n}",
    "cure": "name the config key that splits the runs under Edit definition, Variants",
}


@dataclass(frozen=True)
class Comparison:
    """The ladders of a study and the two that are compared: `second` against `first`."""

    ladders: Sequence[Doc]
    names: Mapping[str, str]  # short ones, of the labels
    places: Mapping[str, int]  # of the labels, among colours
    first: str
    second: str
    pair: Doc | None
    refusal: RefusalDoc | None
    own: str = "all runs"  # the name of a ladder that has no variant

    def name(self, label: str) -> str:
        """Return what pages and figures call a variant."""
        return self.names.get(label, label) or self.own

    @property
    def both(self) -> str:
        """Return the names of the two, the reference first."""
        return f"{self.name(self.first)}; {self.name(self.second)}"

    @property
    def shown(self) -> list[Doc]:
        """Return the two ladders under their short names, or the only one there is."""
        chosen = (self.first, self.second)
        found = [item for item in self.ladders if item["variant"] in chosen]
        return [{**item, "variant": self.name(item["variant"])} for item in found]

    @property
    def shown_places(self) -> dict[str, int]:
        """Return the places of the two by their short names; they are never the same."""
        first, second = (self.places.get(label, 0) for label in (self.first, self.second))
        second += first % len(CATEGORIES) == second % len(CATEGORIES)
        return {self.name(self.first): first, self.name(self.second): second}


def choose_pair(view: StudyView, options: Mapping[str, str]) -> Comparison:
    """Return the comparison that the options choose: `reference` and `variant`, else the first two.

    Without options the pair whose ladders are longest is compared, its first label the reference.
    """
    result: Mapping[str, Any] = view.compute or {}
    ladders = result.get("ladders", [])
    places = place_variants(view.rows.rows)
    labels = [ladder["variant"] for ladder in ladders]
    new = [label for label in labels if label not in places]
    places |= {label: len(places) + i for i, label in enumerate(new)}
    by_length = sorted(ladders, key=lambda item: -len(item["cells"]))
    names = sorted(item["variant"] for item in by_length[:2])
    first = options.get("reference", "") if options.get("reference", "") in labels else ""
    second = options.get("variant", "") if options.get("variant", "") in labels else ""
    if len(ladders) > 1:
        first = first or next(name for name in [*names, *labels] if name != second)
        second = second if second and second != first else ""
        second = second or next(name for name in [*names, *labels] if name != first)
    pair = next(
        (
            item
            for item in result.get("pairs", [])
            if (item["first"], item["second"]) == (first, second)
        ),
        None,
    )
    refusal = _find_refusal(result, ladders, pair)
    texts = name_variants(row.variant for row in view.rows.rows)
    own = view.study.name or view.study.slug if view.study.compared_with else Comparison.own
    return Comparison(ladders, texts, places, first, second, pair, refusal, own)


def _find_refusal(result: Doc, ladders: Sequence[Doc], pair: Doc | None) -> RefusalDoc | None:
    refused: RefusalDoc | None = result.get("refusal")
    if refused or not result:
        return refused
    if pair is None:
        sentence = ONE_VARIANT["sentence"].format(n=len(ladders))
        return {**ONE_VARIANT, "sentence": sentence}
    return as_refusal(pair["comparison"])


def build_comparison(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the document of the tab: laws of the ladders, all pairs, and the sentence on top."""
    found = choose_pair(view, options)
    result: Mapping[str, Any] = view.compute or {}
    law = result.get("laws", {}).get(FORM, {})
    pairs = [
        {
            **describe_row(item),
            "first_text": found.name(item["first"]),
            "second_text": found.name(item["second"]),
        }
        for item in result.get("pairs", [])
    ]
    return {
        "reference": found.first,
        "against": found.second,
        "reference_text": found.name(found.first),
        "against_text": found.name(found.second),
        "refusal": found.refusal,
        "sentences": describe_pair(found),
        "ladders": [
            {
                "variant": ladder["variant"],
                "text": found.name(ladder["variant"]),
                "tone": json.dumps(category_tone(found.places.get(ladder["variant"], 0))),
                "shape": SYMBOLS[found.places.get(ladder["variant"], 0) % len(SYMBOLS)],
                "n_cells": len(ladder["cells"]),
                "n_left_out": ladder["n_left_out"],
                **describe_law_fit(ladder["fit"], law, "budgets"),
            }
            for ladder in found.ladders
        ],
        "without_law": _group_refused(found),
        "pairs": pairs,
        "n_incomparable": sum(not row["is_comparable"] for row in pairs),
        "law": law,
        "param_names": list(law.get("params", {})),
        "n_param_cells": 2 * len(law.get("params", {})),
    }


def _group_refused(found: Comparison) -> list[Document]:
    """Return why ladders have no law, each reason with the variants it holds for."""
    groups: dict[str, list[str]] = {}
    for ladder in found.ladders:
        refusal = as_refusal(ladder["fit"])
        if refusal:
            groups.setdefault(refusal["sentence"], []).append(found.name(ladder["variant"]))
    return [{"sentence": text, "variants": names} for text, names in groups.items()]


def describe_pair(found: Comparison) -> list[str]:
    """Say in words who is better where, where they cross, and what the gain is."""
    if found.pair is None or as_refusal(found.pair["comparison"]):
        return []
    comparison = found.pair["comparison"]
    named = {"first": found.name(found.first), "second": found.name(found.second)}
    above = decode([comparison["winner_above"]])[0]
    said = (
        f"{named[comparison['winner']]} is better above C = {format_flops(above)}."
        if comparison["winner"]
        else f"No winner: {comparison['verdict']}."
    )
    return [said, _describe_crossing(comparison["crossing"]), *_describe_gain(found)]


def _describe_crossing(crossing: Doc) -> str:
    refusal = as_refusal(crossing)
    if refusal:
        return refusal["sentence"][:1].upper() + refusal["sentence"][1:] + "."
    far = ", extrapolated more than a decade beyond the data" if crossing["extrapolated"] else ""
    return (
        f"The ladders cross at C = {format_crossing(crossing, '; ')}{far}. "
        f"{crossing['share_once']:.0%} of the replicas cross once, {crossing['share_none']:.0%} "
        f"never, {crossing['share_several']:.0%} several times."
    )


def _describe_gain(found: Comparison) -> list[str]:
    assert found.pair is not None
    gain = read_gain(found.pair)
    if not gain:
        return []
    verb = "saves" if gain["value"] >= 1 else "costs"
    return [
        f"At its largest compute, C = {gain['flops_text']}, {found.name(found.second)} {verb} "
        f"compute by a factor {gain['factor_text']}{gain['interval_text']} against "
        f"{found.name(found.first)}."
    ]


def read_gain(pair: Doc) -> dict[str, Any]:
    """Return the gain at the largest compute of the second ladder that the reference reaches."""
    gain = pair["gain"]
    if as_refusal(gain):
        return {}
    columns = (decode(gain[key]) for key in ("flops", "gain", "low", "high"))
    known = [row for row in zip(*columns, strict=True) if row[1] == row[1]]
    if not known:
        return {}
    flops, value, low, high = known[-1]
    turned = value < 1
    ends = (1 / high, 1 / low) if turned and low > 0 else (low, high)
    bounded = low == low and high == high
    words = f" [{format_number(ends[0])} {DASH} {format_number(ends[1])}]" if bounded else ""
    return {
        "flops": flops,
        "flops_text": format_flops(flops),
        "value": value,
        "text": f"{format_number(value)}\N{MULTIPLICATION SIGN}",
        "factor_text": format_number(1 / value if turned else value),
        "interval_text": words,
        "low": low,
        "high": high,
    }


def describe_row(pair: Doc) -> Document:
    """Return a pair as one row of the table."""
    row: Document = {"first": pair["first"], "second": pair["second"], "remark": ""}
    row["is_comparable"] = not as_refusal(pair["comparison"])
    gain = read_gain(pair)
    if gain:
        row |= {"gain": gain["value"], "gain_text": gain["text"], "gain_at": gain["flops_text"]}
        if gain["low"] == gain["low"]:
            ends = (format_number(gain["low"]), format_number(gain["high"]))
            row["gain_interval"] = f"{ends[0]} {DASH} {ends[1]}"
        else:
            row["remark"] = "the gain of too many replicas lies outside the reference's data"
    comparison = pair["comparison"]
    refusal = as_refusal(comparison)
    if refusal:
        return {**row, "remark": refusal["sentence"]}
    crossing = comparison["crossing"]
    refused = as_refusal(crossing)
    if refused:
        remarks = filter(None, [refused["sentence"], str(row["remark"])])
        return {**row, "remark": "; ".join(remarks)}
    return {
        **row,
        "crossing": decode([crossing["median"]])[0],
        "crossing_text": format_flops(decode([crossing["median"]])[0]),
        "crossing_interval": _write_ends(crossing),
        "share_once": f"{crossing['share_once']:.0%}",
        "remark": "extrapolated" if crossing["extrapolated"] else "",
    }


def _write_ends(crossing: Doc) -> str:
    if crossing["one_sided"] or not crossing["interval"]:
        return "not bounded on both sides"
    low, high = (decode([crossing["interval"][key]])[0] for key in ("low", "high"))
    return f"{format_flops(low)} {DASH} {format_flops(high)}"


def summarise_comparison(view: StudyView, options: Mapping[str, str]) -> list[Document]:
    """Return the four KPI of the tab: winner, crossing, gain, held-out error."""
    found = choose_pair(view, options)
    against = f"{found.name(found.second)} against {found.name(found.first)}"
    comparison = found.pair["comparison"] if found.pair else None
    if comparison is None or as_refusal(comparison):
        reason = polish(found.refusal["sentence"]) if found.refusal else "no fit yet"
        return [
            {"key": key, "label": label, "value": "", "interval": "", "basis": reason}
            for key, label in KPI_LABELS.items()
        ]
    return [
        _show_winner(found, comparison),
        _show_crossing(comparison["crossing"], against),
        _show_gain(found, against),
        _show_held_out(comparison, found),
    ]


KPI_LABELS = {
    "winner": "Better at the largest compute",
    "crossing": "Crossing, FLOPs",
    "gain": "Compute-equivalent gain",
    "ladder_held_out": "Held-out error",
}


def _show_winner(found: Comparison, comparison: Doc) -> Document:
    kpi: Document = {"key": "winner", "label": KPI_LABELS["winner"]}
    named = {"first": found.name(found.first), "second": found.name(found.second)}
    if not comparison["winner"]:
        return {
            **kpi,
            "value": "neither",
            "interval": comparison["verdict"],
            "basis": found.both,
        }
    above = format_flops(decode([comparison["winner_above"]])[0])
    return {
        **kpi,
        "value": named[comparison["winner"]].rpartition("=")[2],
        "interval": f"beyond noise above C = {above}",
        "basis": named[comparison["winner"]],
    }


def _show_crossing(crossing: Doc, against: str) -> Document:
    kpi: Document = {"key": "crossing", "label": KPI_LABELS["crossing"]}
    refusal = as_refusal(crossing)
    if refusal:
        return {**kpi, "value": "", "interval": "none", "basis": polish(refusal["sentence"])}
    return {
        **kpi,
        "value": format_flops(decode([crossing["median"]])[0]),
        "interval": f"95 %: {_write_ends(crossing)}",
        "basis": f"{crossing['share_once']:.0%} of replicas cross once; {against}",
    }


def _show_gain(found: Comparison, against: str) -> Document:
    kpi: Document = {"key": "gain", "label": KPI_LABELS["gain"]}
    gain = read_gain(found.pair) if found.pair else {}
    if not gain:
        refusal = as_refusal(found.pair["gain"]) if found.pair else None
        reason = refusal["sentence"] if refusal else "no fit"
        return {**kpi, "value": "", "interval": "", "basis": reason}
    is_bounded = gain["low"] == gain["low"]
    ends = f"{format_number(gain['low'])} {DASH} {format_number(gain['high'])}"
    return {
        **kpi,
        "value": gain["text"],
        "interval": f"95 %: {ends}" if is_bounded else "no interval",
        "basis": f"C = {gain['flops_text']}; {against}",
    }


def _show_held_out(comparison: Doc, found: Comparison) -> Document:
    kpi: Document = {"key": "ladder_held_out", "label": KPI_LABELS["ladder_held_out"]}
    errors = decode(comparison["held_out"])
    texts = [f"{100 * error:.1f} %" if error == error else "none" for error in errors]
    return {
        **kpi,
        "value": " / ".join(texts),
        "interval": "largest error of each ladder",
        "basis": found.both,
    }
