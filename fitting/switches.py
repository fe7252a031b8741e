"""Analyses that a study does or does not make: what pages and the API say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fitting.models import Fit, SwitchedOff
from fitting.queries import (
    COMPUTE_OPTIMAL,
    COMPUTE_PARTS,
    MEMBERS,
    SWITCHABLE,
    TITLES,
    StudyView,
    find_version,
    list_fits,
)

Document = dict[str, object]
SENTENCES = {
    "lr_sweep": "best learning rate of each size, its law, and the sensitivity to it",
    "compute_optimal": "the five below and the frontiers of the approaches; off: none of them",
    "isoflop": "approach 2: the best size of each budget",
    "chinchilla_envelope": "approach 1: the least loss along all curves; reads every curve",
    "chinchilla_parametric": "approach 3 and its second opinion, held-out error, predictions",
    "overtraining": "loss against compute and tokens per parameter",
    "ladders": "laws of the variants' ladders, crossings, gains",
    "lr_batch": "best learning rate and batch of each cell, and their laws",
    "critical_batch": "steps to a loss against batch size",
    "lr_schedule": "loss along the schedule",
    "rl_sigmoid": "score against compute",
    "instability": "attention logits and gradients against size, and the verdicts on all runs",
}


def write_switched_off(row: SwitchedOff) -> str:
    """Say since when an analysis is off, and whose doing that is."""
    by = f" by {row.switched_by.username}" if row.switched_by else ""
    return f"switched off{by} on {row.switched_at:%Y-%m-%d}"


def describe_switches(off: Mapping[str, SwitchedOff]) -> list[Document]:
    """Return every analysis in its order, and whether it is made."""
    return [describe_switch(name, off.get(name)) for name in SWITCHABLE]


def describe_switch(analysis: str, row: SwitchedOff | None) -> Document:
    """Return whether an analysis is made; `by` and `at` say who switched it off, and when."""
    return {
        "analysis": analysis,
        "title": TITLES[analysis],
        "covers": SENTENCES[analysis],
        "is_on": row is None,
        "by": row.switched_by.username if row and row.switched_by else None,
        "at": row.switched_at if row else None,
    }


def build_switches(view: StudyView, analyses: Iterable[str]) -> list[Document]:
    """Return what a tab says of its analyses: which are off, and what was published before."""
    return [
        {**describe_switch(name, view.off.get(name)), "last": _describe_last(view, name)}
        for name in analyses
    ]


def _describe_last(view: StudyView, analysis: str) -> Document | None:
    """Return the newest fit of an analysis that is off, None where there is none."""
    row = view.off.get(analysis)
    if row is None or view.last is None:
        return None
    if analysis in COMPUTE_PARTS:
        before = list_fits(view.study, COMPUTE_OPTIMAL).filter(created_at__lte=row.switched_at)
        fit = before.first()
    else:
        fit = getattr(view.last, MEMBERS[analysis][0])
    if not isinstance(fit, Fit):
        return None
    return {"version": find_version(fit), "data_at": fit.data_at}
