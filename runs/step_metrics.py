"""The x axis of a metric, where its script named one with `define_metric`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runs.facts import PRIVATE
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.names import FLOPS, TOKENS, canonical_metric

STEP = "step"
METRIC_AXIS = "metric:"  # followed by the name of any metric
AUTOMATIC = ""  # of a choice of axes: what the script says, the step where it says nothing
MAX_AXES = 300


def read_step_metrics(config: Mapping[str, object]) -> dict[str, str]:
    """Return name or `prefix/*` -> step metric, as `define_metric` left them in a config."""
    kept = config.get(PRIVATE)
    defined = kept.get("metrics") if isinstance(kept, Mapping) else None
    if not isinstance(defined, Mapping):
        return {}
    named = {
        name: facts.get("step_metric")
        for name, facts in defined.items()
        if isinstance(facts, Mapping)
    }
    return {name: axis for name, axis in named.items() if isinstance(axis, str) and axis}


def find_step_metric(defined: Mapping[str, str], metric: str) -> str:
    """Return the step metric of a metric: by its name, else by the longest pattern; "" if none."""
    if metric in defined:
        return defined[metric]
    fitting = [
        name for name in defined if name.endswith("*") and metric.startswith(name.rstrip("*"))
    ]
    return defined[max(fitting, key=len)] if fitting else ""


def list_axes(config: Mapping[str, object], summary: Mapping[str, object]) -> set[str]:
    """Return the step metrics on which some logged metric of a run stands."""
    defined = read_step_metrics(config)
    named = {(name, find_step_metric(defined, name)) for name in summary} if defined else set()
    return {axis for name, axis in named if axis in summary and axis != name}


def choose_axis(
    runs: Iterable[tuple[Mapping[str, object], Mapping[str, object]]], metric: str
) -> str:
    """Return the axis that all runs, (config, summary) each, name for a metric; else the step.

    Runs that do not log the metric have no say; a step metric that was never logged is none.
    """
    named = set()
    for config, summary in runs:
        if metric in summary:
            found = find_step_metric(read_step_metrics(config), metric)
            named.add(found if found in summary and found != metric else "")
    return METRIC_AXIS + named.pop() if len(named) == 1 and "" not in named else STEP


def list_grown(
    summaries: Iterable[Mapping[str, Mapping[str, object]]], defined: Iterable[str]
) -> list[str]:
    """Return the metrics that a reader would put on x.

    These are what scripts named, counts of tokens and FLOPs, and whatever ended at its greatest
    value, above its least, in every run.
    """
    has_only_grown: dict[str, bool] = {}
    for summary in summaries:
        for name, entry in summary.items():
            has_only_grown[name] = has_only_grown.get(name, True) and has_grown(entry)
    wanted = set(defined)
    return sorted(
        name
        for name, grew in has_only_grown.items()
        if grew or name in wanted or canonical_metric(name) in (TOKENS, FLOPS)
    )[:MAX_AXES]


def has_grown(entry: Mapping[str, object]) -> bool:
    """Say whether a metric ended at its greatest value, above its least."""
    last, least, most = (decode_float(entry.get(key)) for key in ("last", "min", "max"))
    return last is not None and last == most and least is not None and least < last
