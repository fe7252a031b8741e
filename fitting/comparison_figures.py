"""The figures of variants against each other: crossing, gain, residuals."""

from __future__ import annotations

from collections.abc import Mapping

from fitting.comparison import Comparison, choose_pair, describe_row
from fitting.compute_figures import count_compute
from fitting.compute_results import decode
from fitting.law_table import describe_held_out, summarise_fit
from fitting.plots.compute_tables import make_columns
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.crossover import draw_crossover, draw_gain, list_residuals
from fitting.plots.residuals import draw_residuals
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal

RUNGS = {
    "variant": "Variant",
    "flops": "C, FLOPs",
    "n_params": "N",
    "n_tokens": "D",
    "lr": "Best LR",
    "loss": "Loss",
    "predicted": "Law",
    "error": "Error, %",
}
GAINS = {"flops": "C, FLOPs", "gain": "Gain", "low": "from", "high": "to", "beyond": "Extrapolated"}


def _draw(view: StudyView, options: Options) -> Figure:
    found = choose_pair(view, options)
    return draw_crossover(found.shown, found.shown_places, found.pair)


def _caption(view: StudyView, options: Options) -> str:
    found = choose_pair(view, options)
    held = [
        f"{item['variant'] or 'all runs'}: {describe_held_out(item['fit'], 'budgets')}"
        for item in found.shown
    ]
    return (
        "Marks: the best run of each budget, while the loss falls. Lines: L = L∞ + A C^-a, dashed "
        "beyond the largest compute (dotted), band: 95 % interval. Diamonds: what the smaller runs "
        f"predict for the largest. Held out, {'; '.join(held) or 'nothing'}."
    )


def _tabulate(view: StudyView, options: Options) -> Figure:
    rows = []
    for ladder in choose_pair(view, options).shown:
        laws = decode(ladder["predicted"]) or [float("nan")] * len(ladder["cells"])
        for cell, law in zip(ladder["cells"], laws, strict=True):
            known = law == law
            rows.append(
                {
                    "variant": ladder["variant"] or "all runs",
                    **{key: cell[key] for key in ("flops", "n_params", "n_tokens", "loss")},
                    "lr": decode([cell["lr"]])[0],
                    "predicted": law if known else None,
                    "error": 100 * (law / cell["loss"] - 1) if known else None,
                }
            )
    return {"columns": make_columns(RUNGS), "rows": rows}


def _law(view: StudyView, options: Options) -> Figure:
    found = choose_pair(view, options)
    fits = {
        item["variant"] or "all runs": as_refusal(item["fit"]) or summarise_fit(item["fit"])
        for item in found.shown
    }
    return {"ladders": fits, "pair": describe_row(found.pair) if found.pair else None}


def _refuse(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    return choose_pair(view, options).refusal


def _draw_gain(view: StudyView, options: Options) -> Figure:
    found = choose_pair(view, options)
    name = found.name(found.second)
    return draw_gain(found.pair, found.shown_places[name], name)


def _caption_gain(view: StudyView, options: Options) -> str:
    found = choose_pair(view, options)
    if found.pair is None:
        return "Compute-equivalent gain of one variant over another."
    return (
        f"How many times more compute {found.name(found.first)} needs for the loss that "
        f"{found.name(found.second)} reaches; above 1 the second saves compute. Dashed where the "
        "reference would have to be trained beyond its data; not drawn more than a decade beyond. "
        "Band: 95 % interval."
    )


def _tabulate_gain(view: StudyView, options: Options) -> Figure:
    pair = choose_pair(view, options).pair
    gain = pair["gain"] if pair else {}
    if not gain or as_refusal(gain):
        return {"columns": make_columns(GAINS), "rows": []}
    columns = [decode(gain[key]) for key in ("flops", "gain", "low", "high")]
    rows = zip(*columns, gain["extrapolated"], strict=True)
    return {
        "columns": make_columns(GAINS),
        "rows": [dict(zip(GAINS, row, strict=True)) for row in rows][::4],
    }


def _refuse_gain(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    found: Comparison = choose_pair(view, options)
    return found.refusal or (as_refusal(found.pair["gain"]) if found.pair else None)


def _draw_residuals(view: StudyView, options: Options) -> Figure:
    found = choose_pair(view, options)
    return draw_residuals(list_residuals(found.shown, found.shown_places), "ladder_residuals")


def _caption_residuals(view: StudyView, options: Options) -> str:
    return "Fitted loss against the measured one; open diamonds were withheld and predicted."


COMPARISON_FIGURES: Mapping[str, Plot] = {
    "crossover": Plot(
        "Best loss of each variant against compute",
        _draw,
        _caption,
        _tabulate,
        _law,
        count_compute,
        _refuse,
    ),
    "gain": Plot(
        "Compute-equivalent gain",
        _draw_gain,
        _caption_gain,
        _tabulate_gain,
        _law,
        count_compute,
        _refuse_gain,
    ),
    "ladder_residuals": Plot(
        "Predicted against observed loss",
        _draw_residuals,
        _caption_residuals,
        _tabulate,
        _law,
        count_compute,
        _refuse,
    ),
}
