"""Runs that go on from a step of another one: what they inherit, and from where they count."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from runs import store
from runs.blocks import Steps, Values
from runs.facts import Facts, apply_declared, derive_flops, take
from runs.models import Run
from runs.validation import MAX_INTEGER
from scaledash.lib.names import FLOPS, TOKENS, canonical_metric, find_flop_unit

SOURCE = "parent"
MAX_GENERATIONS = 20
_POINT = re.compile(r"([A-Za-z0-9_-]{1,64})\?_step=(\d{1,16})")


@dataclass(frozen=True)
class ForkPoint:
    """A step of a run."""

    parent: Run
    step: int


def find_fork_point(run: Run, text: str) -> ForkPoint | str:
    """Return what "run_id?_step=n" names in the project of a run, or what is wrong with it."""
    match = _POINT.fullmatch(text)
    if match is None or int(match[2]) > MAX_INTEGER:
        return f"{text[:80]!r} is not of the form run_id?_step=n."
    parent = Run.objects.filter(project=run.project, uid=match[1], deleted_at=None).first()
    if parent is None:
        return f"There is no run {match[1]!r} in {run.project.slug} to fork from."
    return ForkPoint(parent, int(match[2]))


def inherit_facts(facts: Facts, point: ForkPoint, at: str) -> Facts:
    """Say where a fork begins to count: its step, and the parent's D and C there."""
    tokens, flops = count_until(point)
    known = {"parent_step": float(point.step), "parent_tokens": tokens, "parent_flops": flops}
    values = {name: value for name, value in known.items() if value is not None}
    return apply_declared(facts, values, at, SOURCE)


def count_until(point: ForkPoint) -> tuple[float | None, float | None]:
    """Return D and C of a run at a step: logged, else derived; None where nothing says."""
    run, step = point.parent, point.step
    tokens = _read_logged(run, step, TOKENS)
    per_step = take(run.facts, "tokens_per_step")
    if tokens is None and per_step is not None:
        begun = take(run.facts, "parent_step") or 0.0
        tokens = (take(run.facts, "parent_tokens") or 0.0) + per_step * (step - begun)
    flops = _read_logged(run, step, FLOPS)
    if flops is None and tokens is not None:
        flops, _ = derive_flops(run.facts, tokens)
    return tokens, flops


def _read_logged(run: Run, step: int, canonical: str) -> float | None:
    """Return the last finite value of a counting metric at or before a step."""
    for name in sorted(name for name in run.summary if canonical_metric(name) == canonical):
        steps, values = store.read_series(run.pk, name)
        usable = values[(steps <= step) & np.isfinite(values)]
        if usable.size:
            return float(usable[-1]) * (find_flop_unit(name) if canonical == FLOPS else 1.0)
    return None


def list_ancestors(run: Run) -> list[ForkPoint]:
    """Return from where a run has its first points: the parent, its parent, and so on."""
    found: list[ForkPoint] = []
    limit = math.inf
    while run.fork_step is not None and run.parent_id and len(found) < MAX_GENERATIONS:
        parent = Run.objects.filter(pk=run.parent_id, deleted_at=None).first()
        if parent is None:
            break
        limit = min(limit, run.fork_step)
        found.append(ForkPoint(parent, int(limit)))
        run = parent
    return found


def read_inherited(ancestors: list[ForkPoint], metric_id: int, before: int) -> tuple[Steps, Values]:
    """Return the points of a metric that a run has from its ancestors, those before a step."""
    parts: list[tuple[Steps, Values]] = []
    for point in ancestors:
        known = store.read_points([point.parent.pk], [metric_id])
        found = known.get((point.parent.pk, metric_id), store.NO_POINTS)
        inside = (found.steps <= point.step) & (found.steps < before)
        if inside.any():
            parts.append((found.steps[inside], found.values[inside]))
            before = int(found.steps[0])
    if not parts:
        return store.NO_POINTS.steps, store.NO_POINTS.values
    parts.reverse()
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
