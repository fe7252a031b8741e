"""What the pages of runs show; their JSON twins answer with the same documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.urls import reverse
from django.utils import timezone

from runs.axes import group_axes
from runs.charts import X_AXES
from runs.columns import find_loss_names, write_number
from runs.comparison import compare_config
from runs.comparison import write_value as write_leaf
from runs.events import MAX_EVENTS, Event, build_marks, list_events, read_traceback
from runs.facts import walk, write_fact
from runs.metric_groups import group_names, sort_naturally
from runs.mlflow.liveness import find_patience
from runs.models import Outcome, Run, RunState
from runs.queries import describe_run, find_doubts
from runs.step_metrics import AUTOMATIC, MAX_AXES
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.names import FLOPS, TOKENS, canonical_metric
from scaledash.lib.units import format_quantity

FACTS = (
    ("n_params", "N"),
    ("n_params_non_embedding", "N without emb."),
    ("n_params_active", "N active"),
    ("n_tokens", "D"),
    ("target_tokens", "D planned"),
    ("flops", "C"),
    ("flops_per_token", "FLOPs per token"),
    ("tokens_per_step", "tokens per step"),
    ("batch_tokens", "batch"),
    ("seq_len", "context"),
    ("width", "width"),
    ("depth", "depth"),
    ("peak_lr", "peak LR"),
    ("warmup_steps", "warm-up"),
    ("total_steps", "steps planned"),
    ("loss_at_init", "loss at init"),
    ("seed", "seed"),
)
SCALES = (("n_params", "N, parameters"), ("n_tokens", "D, tokens"), ("flops", "C, FLOPs"))
HOST_FACTS = (
    ("git_commit", "Commit"),
    ("git_branch", "Branch"),
    ("hostname", "Host"),
    ("os", "System"),
    ("gpus", "GPUs"),
    ("cpu_count", "CPUs"),
    ("python", "Python"),
    ("command", "Command"),
)
SILENT_SECONDS = 75
MAX_NONFINITE_NOTICES = 3


def build_run(run: Run) -> dict[str, object]:
    """Return the document of a run's page."""
    names = find_loss_names(run.project)
    return {
        **describe_run(run),
        "loss_metric": next((name for name in names.loss if name in run.summary), ""),
        "scale_facts": list(_list_facts(run)),
        "events": list_events(run),
    }


def _list_facts(run: Run) -> Iterator[dict[str, object]]:
    for key, label in FACTS:
        value = getattr(run, key)
        if value is None:
            continue
        sources = run.facts.get(key) or []
        yield {
            "key": key,
            "label": label,
            "value": value,
            "text": write_fact(key, value, 4 if key == "loss_at_init" else 3),
            "source": sources[0]["source"] if sources else "",
            "detail": (sources[0].get("detail") or "") if sources else "",
            "sources": sources,
        }


def build_run_page(run: Run, document: Mapping[str, Any]) -> dict[str, object]:
    """Return what the HTML of the page needs beside its document."""
    groups = group_metrics(document["summary"])
    events: list[Event] = list(document["events"])
    slug = document["project"]
    return {
        "run": {**document, "silent_for": find_silence(run)},
        "cards": list(summarise(run, document)),
        "facts": [_show_fact(fact) for fact in document["scale_facts"]],
        "config": [(line.key, line.cells[0]) for line in compare_config([run])],
        "summary": [(path, write_leaf(value)) for path, value in walk(run.user_summary)],
        "about": list(_describe_about(run)),
        "traceback": read_traceback(run),
        "snippet": write_snippet(run) if run.state == RunState.RUNNING else "",
        "events": events[:MAX_EVENTS],
        "n_events": len(events),
        "marks": json.dumps(build_marks(events)),
        "notices": list(_find_notices(run)),
        "groups": groups,
        "x_axes": list_axes(run),
        "may_show_superseded": run.attempt > 0,
        "n_metrics": len(document["summary"]),
        "curves_url": reverse("run-curves", args=[slug, run.uid]),
        "json_url": reverse("run-json", args=[slug, run.uid]),
    }


def write_snippet(run: Run) -> str:
    """Return the lines that log a first point into a run."""
    return (
        "import scaledash\n\n"
        f'run = scaledash.init(project="{run.project.slug}", id="{run.uid}", resume="allow")\n'
        'run.log({"loss.train": 2.5}, step=0)'
    )


def list_axes(run: Run) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return the x axes that the charts of a run can have, as a menu shows them."""
    counted = {canonical_metric(name) for name in run.summary}
    has = {
        "tokens": run.n_tokens is not None or TOKENS in counted,
        "flops": run.flops is not None or FLOPS in counted,
    }
    plain = [axis for axis in X_AXES if has.get(axis, True)]
    names = sorted(run.summary, key=sort_naturally)[:MAX_AXES]
    return group_axes([run], plain, names, AUTOMATIC)


def _show_fact(fact: Mapping[str, object]) -> dict[str, object]:
    words = (f"{fact['value']:,.10g}", str(fact["detail"]))
    return {**fact, "title": ", ".join(word for word in words if word)}


def group_metrics(summary: Mapping[str, Mapping[str, object]]) -> list[dict[str, object]]:
    """Group the metrics by the first part of their names."""
    return [
        {"name": prefix, "metrics": [_describe_metric(name, summary[name]) for name in names]}
        for prefix, names in group_names(summary).items()
    ]


def _describe_metric(name: str, summary: Mapping[str, object]) -> dict[str, object]:
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return {
        "name": name,
        "short": name,
        "dom_id": f"metric-{digest}",
        "last_text": write_value(summary.get("last")),
        "count_text": _count_points(summary),
    }


def _count_points(summary: Mapping[str, Any]) -> str:
    kinds = summary.get("nonfinite") or {}
    parts = [f"{int(summary.get('count') or 0):,} points"]
    return ", ".join([*parts, *(f"{count:,} {kind}" for kind, count in kinds.items())])


def read_summary(run: Run, names: Sequence[str], key: str) -> float | None:
    """Return one number of the first of these metrics that the run logged."""
    for name in names:
        summary: Mapping[str, object] = run.summary.get(name) or {}
        if summary.get(key) is not None:
            return decode_float(summary[key])
    return None


def write_value(value: object) -> str:
    """Write the value of a metric, non-finite ones by name."""
    number = decode_float(value)
    return "" if number is None else write_number(number)


def summarise(run: Run, document: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Return the four numbers that answer first: loss, N, D, C."""
    metric = document["loss_metric"]
    least = write_value(read_summary(run, (metric,), "min"))
    step = document["last_step"]
    yield {
        "key": "loss",
        "label": metric or "loss",
        "value": write_value(read_summary(run, (metric,), "last")),
        "interval": f"lowest {least}" if least else "",
        "basis": "no step yet" if step is None else f"step {step:,}",
    }
    facts = {fact["key"]: fact for fact in document["scale_facts"]}
    for key, label in SCALES:
        fact = facts.get(key)
        yield {
            "key": key,
            "label": label,
            "value": fact["text"] if fact else "",
            "interval": _relate(key, run),
            "basis": fact["source"] if fact else "not logged",
        }


def _relate(key: str, run: Run) -> str:
    if key == "n_params" and run.n_params_non_embedding:
        return f"{format_quantity(run.n_params_non_embedding)} without embedding"
    if key == "n_tokens" and run.n_tokens and run.n_params:
        return f"{format_quantity(run.n_tokens / run.n_params)} per parameter"
    return _name_convention(run) if key == "flops" and run.flops else ""


def _name_convention(run: Run) -> str:
    """Say by which convention FLOPs were counted, where that is more than "as logged"."""
    return run.flop_convention if run.flop_convention not in ("", "logged") else ""


def _describe_about(run: Run) -> Iterator[dict[str, object]]:
    times = (("Created", run.created_at), ("Ended", run.ended_at), ("Heartbeat", run.heartbeat_at))
    for label, at in times:
        if at is not None:
            yield {"label": label, "at": at}
    words = (("Group", run.group), ("Job type", run.job_type), ("Reason", run.finish_reason))
    for label, text in words:
        if text:
            yield {"label": label, "value": text}
    if run.exit_code is not None:
        yield {"label": "Exit code", "value": run.exit_code}
    if run.attempt:
        yield {"label": "Attempts", "value": run.attempt + 1}
    for key, label in HOST_FACTS:
        if run.host.get(key):
            yield {"label": label, "value": _write_host(run.host[key])}


def _write_host(value: object) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _find_notices(run: Run) -> Iterator[dict[str, str]]:
    if run.outcome == Outcome.DIVERGED:
        yield {"tone": "bad", "text": f"Diverged. {describe_evidence(run.outcome_evidence)}"}
    blamed = run.outcome_evidence.get("metric")
    wild = {
        name: entry
        for name, entry in run.summary.items()
        if entry.get("nonfinite") and name != blamed
    }
    for name, entry in list(wild.items())[:MAX_NONFINITE_NOTICES]:
        kind, step = entry["first_nonfinite"], entry["first_nonfinite_step"]
        text = f"{name} was first not finite at step {step:,} ({kind}): {_count_points(entry)}."
        yield {"tone": "warn", "text": text}
    if len(wild) > MAX_NONFINITE_NOTICES:
        text = (
            f"{len(wild) - MAX_NONFINITE_NOTICES:,} more metrics hold values that are not finite."
        )
        yield {"tone": "warn", "text": text}
    for doubt in find_doubts(run):
        yield {"tone": "warn", "text": doubt}
    if run.dropped:
        values = "1 value" if run.dropped == 1 else f"{run.dropped:,} values"
        text = f"The client dropped {values}; its log says why."
        yield {"tone": "warn", "text": text}
    if run.overwritten:
        text = (
            f"{run.overwritten:,} points were logged again for their step; the last value counts."
        )
        yield {"tone": "warn", "text": text}


def describe_evidence(evidence: Mapping[str, Any]) -> str:
    """Say what the server saw."""
    if not evidence:
        return ""
    if "sentence" in evidence:
        return str(evidence["sentence"])
    return f"{evidence['metric']} was {evidence['value']} at step {evidence['step']:,}."


def find_silence(run: Run) -> str:
    """Return for how long a running run has not been heard of, "" while that is normal."""
    if run.state != RunState.RUNNING or run.heartbeat_at is None:
        return ""
    seconds = (timezone.now() - run.heartbeat_at).total_seconds()
    if seconds <= SILENT_SECONDS or seconds <= find_patience(run, SILENT_SECONDS):
        return ""
    return f"{seconds / 60:.0f} min"
