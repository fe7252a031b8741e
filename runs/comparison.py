"""Runs side by side: what their configs, scale facts and metrics have in common, and what not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from runs.columns import write_number, write_plain
from runs.facts import COLUMNS, leave_private_out, walk, write_fact
from runs.metric_groups import group_names, is_loss, sort_naturally
from runs.models import Run
from scaledash.lib.jsonsafe import decode_float
from teams.models import Project

PARTS = (("Scale facts", "facts"), ("Config", "config"))
MAX_RUNS = 20
MAX_OFFERED = 30
Texts = Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """One key with what each run has under it."""

    key: str
    cells: list[str | None]
    differs: bool


def find_run(runs: QuerySet[Run], text: str) -> Run | None:
    """Return the run of this id, else the newest of this name."""
    found = list(runs.filter(Q(uid=text) | Q(name=text)).order_by("-created_at", "-id")[:MAX_RUNS])
    return next((run for run in found if run.uid == text), found[0] if found else None)


def find_runs(runs: QuerySet[Run], uids: Sequence[str]) -> tuple[list[Run], list[str]]:
    """Return the runs of these ids in their order, and the ids that name none."""
    wanted = list(dict.fromkeys(uids))[:MAX_RUNS]
    known = {run.uid: run for run in runs.filter(uid__in=wanted).defer("host", "notes")}
    return [known[uid] for uid in wanted if uid in known], [u for u in wanted if u not in known]


def list_offered(runs: QuerySet[Run], run: Run) -> list[tuple[str, str]]:
    """Return runs to compare a run with, (id, name): those of its group before others."""
    others = runs.exclude(pk=run.pk).order_by("-created_at", "-id")
    own = others.filter(group=run.group)[:MAX_OFFERED] if run.group else []
    found = [*own, *others[:MAX_OFFERED]]
    return list({one.uid: (one.uid, one.name or one.uid) for one in found}.values())[:MAX_OFFERED]


def compare_config(runs: Sequence[Run]) -> list[Line]:
    """Compare the leaves of the configs, but for what the client keeps there for itself."""
    configs = [leave_private_out(run.config) for run in runs]
    texts = [{path: write_value(v) for path, v in walk(config)} for config in configs]
    return _compare(texts, order=sort_naturally)


def compare_facts(runs: Sequence[Run]) -> list[Line]:
    """Compare the scale facts; four digits tell runs apart that three do not."""
    texts = []
    for run in runs:
        values = {name: getattr(run, name) for name in COLUMNS}
        texts.append({k: write_fact(k, v, 4) for k, v in values.items() if v is not None})
    return _compare(texts, order=COLUMNS.index)


def compare_metrics(runs: Sequence[Run]) -> list[Line]:
    """Compare the last values of the metrics."""
    return _compare([_write_summary(run.summary) for run in runs], order=sort_naturally)


def _write_summary(summary: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    numbers = {name: decode_float(entry.get("last")) for name, entry in summary.items()}
    return {name: write_number(value) for name, value in numbers.items() if value is not None}


def _compare(texts: Sequence[Texts], order: Callable[[str], object] = str) -> list[Line]:
    """Compare key by key; keys that only some of the runs have come after those of all.

    A run that logged its framework's arguments has hundreds that the others lack.
    """
    keys = sorted({key for text in texts for key in text}, key=order)
    lines = []
    for key in keys:
        cells = [text.get(key) for text in texts]
        lines.append(Line(key, cells, len(set(cells)) > 1))
    return sorted(lines, key=lambda line: None in line.cells)


def write_value(value: object) -> str:
    """Write a leaf of a config."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return write_plain(value) if isinstance(value, int | float) else str(value)


def build_diff(run: Run, runs: QuerySet[Run], base: str) -> dict[str, object]:
    """Return what of a run's config differs from that of another run."""
    other = find_run(runs, base) if base else None
    if base and other is None:
        error = f"There is no run {base[:64]!r} in this project."
        return {"base": None, "error": error, "total": 0, "differing": [], "equal": []}
    lines = compare_config([run, other]) if other else []
    return {
        "base": {"uid": other.uid, "name": other.name or other.uid} if other else None,
        "error": "",
        "total": len(lines),
        "differing": [asdict(line) for line in lines if line.differs],
        "equal": [asdict(line) for line in lines if not line.differs],
    }


def build_comparison(
    project: Project, runs: Sequence[Run], unknown: Sequence[str]
) -> dict[str, object]:
    """Return the document of the page that compares runs."""
    return {
        "project": project.slug,
        "unknown": list(unknown),
        "runs": [
            {
                "uid": run.uid,
                "name": run.name or run.uid,
                "state": run.state,
                "outcome": run.outcome,
                "url": reverse("run", args=[project.slug, run.uid]),
            }
            for run in runs
        ],
        "facts": [asdict(line) for line in compare_facts(runs)],
        "config": [asdict(line) for line in compare_config(runs)],
        "metrics": [asdict(line) for line in compare_metrics(runs)],
    }


def group_lines(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the tables of the page: losses first, then what differs, then the other metrics."""
    known = {str(line["key"]): line for line in document["metrics"]}
    groups = [(prefix, [known[n] for n in names]) for prefix, names in group_names(known).items()]
    losses = [group for group in groups if any(is_loss(str(line["key"])) for line in group[1])]
    return {
        "parts": [_make_part(*part, document) for part in PARTS],
        "losses": losses,
        "metric_groups": [group for group in groups if group not in losses],
    }


def _make_part(title: str, name: str, document: Mapping[str, Any]) -> dict[str, object]:
    lines = document[name]
    partial = [line["key"] for line in lines if None in line["cells"]]
    return {
        "title": title,
        "name": name,
        "lines": lines,
        "n_equal": sum(not line["differs"] for line in lines),
        "first_partial": partial[0] if partial else None,
    }
