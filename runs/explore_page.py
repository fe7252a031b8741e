"""What the page of the curves explorer shows; its JSON twin answers with the same document."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev
from urllib.parse import quote

from django.http import QueryDict
from django.urls import reverse

from runs.axes import group_axes
from runs.charts import X_AXES
from runs.columns import write_number
from runs.contexts import write_value
from runs.explore import AREAS, PLAIN, X_SCALES, Y_SCALES, ExploreWish
from runs.explore_charts import describe_line
from runs.explore_keys import LEGEND_LEVELS, Channel, Level, choose_color, read_values, write_key
from runs.explore_lines import Line, Look, build_look
from runs.explore_runs import Chosen, choose_runs
from runs.facts import COLUMNS, walk, write_fact
from runs.models import Metric, Run, RunState
from scaledash.lib.jsonsafe import decode_float
from teams.models import Project

MAX_VALUE_COLUMNS = 4
SAMPLED_CONFIGS = 100
MAX_KEYS = 300
ALIKE = 0.02  # of the size scale
FACTS = (("n_params", "N"), ("n_tokens", "D"), ("flops", "C"), ("peak_lr", "LR"))
SORTS = {"name": "name", "state": "state", **{key: key for key, _ in FACTS}}
AREA_LABELS = {"none": "no area", "minmax": "min-max", "std": "std", "stderr": "std. error",
               "ci": "95 % CI"}  # fmt: skip
Document = dict[str, object]


def build_explore(project: Project, wish: ExploreWish) -> Document:
    """Return the document of the page."""
    chosen = choose_runs(project, wish)
    return describe(project, wish, chosen, build_look(chosen.drawn, wish))


def describe(project: Project, wish: ExploreWish, chosen: Chosen, look: Look) -> Document:
    """Write down which runs and curves are drawn, and what their colours say."""
    error = chosen.error
    return {
        "project": project.slug,
        "filter": wish.filter,
        "error": {"message": error.message, "position": error.position} if error else None,
        "notes": [*chosen.notes, *look.notes],
        "metrics": chosen.metrics,
        "offered": chosen.offered,
        "n_runs": chosen.n_all,
        "n_matching": chosen.n_matching,
        "n_logging": chosen.n_logging,
        "n_drawn": len(chosen.drawn),
        "facets": look.facets,
        "color": describe_channel(look.color),
        "dash": describe_channel(look.dash),
        "facet": describe_channel(look.facet),
        "lines": [
            {
                **describe_line(line, len(line.runs)),
                "facet": line.facet,
                "runs": [run.uid for run in line.runs],
            }
            for line in look.lines
        ],
        "runs": [describe_run(run, chosen.metrics) for run in chosen.listed],
    }


def describe_channel(channel: Channel) -> Document:
    """Write down a key and its levels."""
    levels = [
        {"text": level.text, "n_runs": level.n_runs, "tone": level.tone, "dash": level.place}
        for level in channel.levels
    ]
    return {"key": channel.key, "levels": levels}


def describe_run(run: Run, metrics: Sequence[str]) -> Document:
    """Write down a row of the table."""
    return {
        "uid": run.uid,
        "name": run.name or run.uid,
        "state": run.state,
        "outcome": run.outcome,
        **{key: getattr(run, key) for key, _ in FACTS},
        "last": {name: run.summary[name].get("last") for name in metrics if name in run.summary},
    }


def build_explore_page(project: Project, wish: ExploreWish, query: QueryDict) -> Document:
    """Return what the HTML of the page needs: its document, and how the controls stand."""
    chosen = choose_runs(project, wish)
    look = build_look(chosen.drawn, wish)
    document = describe(project, wish, chosen, look)
    keys, names = list_keys(chosen.listed), list_metric_names(project)
    return {
        **document,
        "wish": wish,
        "table": build_table(wish, chosen, look, query),
        "legend": show_legend(look.color),
        "dashes": look.dash,
        "charts": [
            {"metric": name, "facet": place, "title": title, "dom_id": make_id(name, place)}
            for name in chosen.metrics
            for place, title in enumerate(look.facets)
        ],
        "controls": list_controls(wish, keys, choose_color(chosen.drawn, wish)),
        "x_axes": group_axes(chosen.drawn[:SAMPLED_CONFIGS], X_AXES, names, wish.x_axis),
        "metric_names": names,
        "is_active": any(run.state == RunState.RUNNING for run in chosen.drawn),
        "all_url": "" if wish.draws_all else link(query, p="all"),
        "fewer_url": link(query, p=None) if wish.draws_all else "",
        "curves_url": reverse("explore-curves", args=[project.slug]),
    }


def make_id(metric: str, facet: int) -> str:
    """Return the id of a chart's title."""
    return f"chart-{hashlib.sha256(metric.encode()).hexdigest()[:12]}-{facet}"


def list_metric_names(project: Project) -> list[str]:
    """Return the metrics of the project by name."""
    names = Metric.objects.filter(project=project).order_by("name")
    return list(names.values_list("name", flat=True)[:MAX_KEYS])


def list_keys(runs: Sequence[Run]) -> list[str]:
    """Return the keys by which these runs differ: facts, fields, keys of config."""
    facts = [key for key in COLUMNS if len({getattr(run, key) for run in runs}) > 1]
    fields = [key for key in ("group", "job_type", "state", "outcome")
              if len({getattr(run, key) for run in runs}) > 1]  # fmt: skip
    seen: dict[str, Counter[str]] = {}
    sampled = runs[:SAMPLED_CONFIGS]
    for run in sampled:
        for path, value in walk(run.config):
            seen.setdefault(path, Counter())[write_key(value)] += 1
    differing = [
        path
        for path, values in sorted(seen.items())
        if len(values) > 1 or values.total() < len(sampled)
    ]
    return [*facts, *fields, *(f"config.{path}" for path in differing[:MAX_KEYS])]


def list_controls(
    wish: ExploreWish, keys: Sequence[str], color: str
) -> dict[str, list[tuple[str, str, bool]]]:
    """Return the choices of each menu: (value in the address, text, is chosen)."""
    automatic = f"auto: {color or 'one colour'}"
    named = [(key, key.removeprefix("config.")) for key in keys]
    grouped = [("!seed", "all but seed"), *named]
    return {
        "color": _mark(
            [("", automatic), ("-", "one colour"), ("run", "run"), *grouped], wish.color
        ),
        "dash": _mark([("", "no dashes"), *grouped], wish.dash),
        "facet": _mark([("", "one chart"), *grouped], wish.facet),
        "xs": _mark([(name, name) for name in X_SCALES], wish.x_scale),
        "ys": _mark([(name, name) for name in Y_SCALES], wish.y_scale),
        "agg": _mark(list(zip(PLAIN, ("each run", "mean", "median"), strict=True)), wish.aggregate),
        "area": _mark([(name, AREA_LABELS[name]) for name in AREAS], wish.area),
    }


def _mark(choices: Sequence[tuple[str, str]], chosen: str) -> list[tuple[str, str, bool]]:
    """Mark the chosen one; a value that is not offered is added, so that nothing is lost."""
    known = dict(choices)
    if chosen not in known:
        known[chosen] = chosen
    return [(value, text, value == chosen) for value, text in known.items()]


def show_legend(channel: Channel) -> Document:
    """Return the levels to show under the controls; of many numbers the ends and some between."""
    levels = tuple(_skip_alike(channel.levels))
    if len(levels) > LEGEND_LEVELS:
        step = (len(levels) - 1) / (LEGEND_LEVELS - 1)
        levels = tuple(levels[round(place * step)] for place in range(LEGEND_LEVELS))
    is_own = channel.key == "run" or channel.key.startswith("!")
    return {"key": channel.key, "levels": () if is_own else levels, "total": len(channel.levels)}


def _skip_alike(levels: Sequence[Level]) -> Iterator[Level]:
    """Leave out sizes whose colour nobody could tell from the one before."""
    before = -math.inf
    for level in levels:
        shade = level.tone.get("size")
        size = shade if isinstance(shade, float | int) else math.inf
        if not abs(size - before) <= ALIKE:
            yield level
            before = size


def build_table(wish: ExploreWish, chosen: Chosen, look: Look, query: QueryDict) -> Document:
    """Return heads and rows of the runs; those that are drawn carry the key of their curve."""
    line_of = {run.uid: line for line in look.lines for run in line.runs}
    keys = dict.fromkeys(part.key for part in (look.color, look.dash, look.facet))
    extra = [key for key in keys if key and key != "run" and key not in dict(FACTS)]
    extra = [key for key in extra if not key.startswith("!")]
    values = {key: read_values(chosen.listed, key) for key in extra}
    metrics = chosen.metrics[:MAX_VALUE_COLUMNS]
    return {
        "heads": list(_list_heads(wish, extra, metrics, query)),
        "rows": [
            {
                "run": run,
                "name": run.name or run.uid,
                "line": line_of.get(run.uid),
                "is_selected": run.uid in wish.selected,
                "facts": [write_fact(key, getattr(run, key)) for key, _ in FACTS],
                "values": [write_key(values[key][run.uid]) for key in extra],
                "lasts": [
                    write_value((run.summary.get(name) or {}).get("last")) for name in metrics
                ],
            }
            for run in chosen.listed
        ],
        "metrics": metrics,
        "groups": [(line, [describe_spread(line, name) for name in metrics]) for line in look.lines]
        if wish.is_grouped
        else [],
        "n_unselected": len(chosen.listed) - len(chosen.drawn),
    }


def describe_spread(line: Line, metric: str) -> Document:
    """Return mean and standard deviation of the last values of a group's runs, as text."""
    lasts = [decode_float(run.summary[metric].get("last")) for run in line.runs
             if metric in run.summary]  # fmt: skip
    known = [value for value in lasts if value is not None and math.isfinite(value)]
    if not known:
        return {"mean": "", "std": "", "note": f"none of {len(lasts):,} is finite" if lasts else ""}
    parts = [f"mean of the last values of {len(known):,} runs"]
    if len(known) > 1:
        parts.append("standard deviation")
    if len(known) < len(lasts):
        parts.append(f"{len(lasts) - len(known):,} not finite")
    return {
        "mean": write_number(fmean(known)),
        "std": f"{stdev(known):.2g}" if len(known) > 1 else "",
        "note": ", ".join(parts),
    }


def _list_heads(
    wish: ExploreWish, extra: Sequence[str], metrics: Sequence[str], query: QueryDict
) -> list[Document]:
    columns = [("name", "Run", False), ("state", "State", False)]
    columns += [(key, label, True) for key, label in FACTS]
    columns += [(key, key.removeprefix("config."), False) for key in extra]
    columns += [(f'summary."{name}"', name, True) for name in metrics]
    return [_describe_head(wish, key, label, is_number, query) for key, label, is_number in columns]


def _describe_head(
    wish: ExploreWish, key: str, label: str, is_number: bool, query: QueryDict
) -> Document:
    is_sorted = wish.sort.removeprefix("-") == key
    is_descending = wish.sort == f"-{key}"
    direction = "descending" if is_descending else "ascending"
    can_sort = is_number or key in SORTS
    following = key if is_descending else f"-{key}"
    return {
        "label": label,
        "is_number": is_number,
        "direction": direction if is_sorted else "",
        "url": link(query, s=following) if can_sort else "",
    }


def link(query: QueryDict, **changes: str | None) -> str:
    """Return this page's address with some keys changed; None takes one out."""
    pairs = {key: query[key] for key in query} | changes
    text = "&".join(
        f"{quote(key)}={quote(value, safe='')}" for key, value in pairs.items() if value
    )
    return f"?{text}"
