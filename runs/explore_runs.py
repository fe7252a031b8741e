"""Which runs and metrics the explorer draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet

from runs.conditions import check_pattern
from runs.explore import MAX_METRICS, ExploreWish
from runs.filters import DEFAULT_ORDER, BadFilter, Order, apply_filter
from runs.models import Metric, Run
from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, canonical_metric
from teams.models import Project

DRAWN_AT_FIRST = 100
SAMPLED_RUNS = 200  # the newest; the metrics that most of them log are offered
OFFERED_METRICS = 8
HEAVY = ("host", "facts", "notes", "outcome_evidence", "user_summary", "ending")


@dataclass(frozen=True)
class Chosen:
    """What a wish comes to: metrics, runs that are drawn, and runs that only stand in the table."""

    metrics: list[str]
    drawn: list[Run]
    listed: list[Run]
    n_matching: int  # runs that the filter leaves
    n_logging: int  # those of them that log one of the metrics
    n_all: int
    error: BadFilter | None
    notes: list[str]
    offered: list[str]


def choose_runs(project: Project, wish: ExploreWish, is_page: bool = True) -> Chosen:
    """Find the metrics and the runs, in the order of the table.

    What only the page says is left out of the answers for its charts: counts of the project's
    runs, and the metrics that it offers.
    """
    notes = list(wish.notes)
    everything = Run.objects.filter(project=project, deleted_at=None)
    counts = count_metrics(everything) if is_page or not wish.metrics else {}
    offered = rank_metrics(counts)[:OFFERED_METRICS]
    metrics = find_metrics(project, wish.metrics, notes) if wish.metrics else choose_first(counts)
    found, error = _filter(_leave_archived_out(everything, wish, notes), wish.filter)
    logging = found.filter(summary__has_any_keys=metrics) if metrics else found.none()
    ordered = _read_order(wish.sort, notes).apply(logging.defer(*HEAVY))
    limit = settings.MAX_SERIES_PER_REQUEST if wish.draws_all else DRAWN_AT_FIRST
    listed = list(ordered[:limit])
    drawn = listed
    if wish.selected:
        drawn = list(ordered.filter(uid__in=wish.selected)[: settings.MAX_SERIES_PER_REQUEST])
        notes += _say_missing(wish.selected, drawn)
    shown = {run.pk for run in drawn}
    return Chosen(
        metrics=metrics,
        drawn=drawn,
        listed=[*drawn, *(run for run in listed if run.pk not in shown)],
        n_matching=found.count() if is_page else 0,
        n_logging=logging.count(),
        n_all=everything.count() if is_page else 0,
        error=error,
        notes=notes,
        offered=[name for name in offered if name not in metrics],
    )


def _leave_archived_out(runs: QuerySet[Run], wish: ExploreWish, notes: list[str]) -> QuerySet[Run]:
    """Return the runs that are not archived; all where some are chosen, or a filter names them."""
    if wish.selected or "archived" in wish.filter:
        return runs
    n_archived = runs.filter(archived_at__isnull=False).count()
    if n_archived:
        plural = "run is" if n_archived == 1 else "runs are"
        notes.append(
            f"{n_archived:,} archived {plural} left out; the filter archived = null "
            "or archived != null takes them in."
        )
    return runs.filter(archived_at=None)


def _filter(runs: QuerySet[Run], text: str) -> tuple[QuerySet[Run], BadFilter | None]:
    try:
        return apply_filter(runs, text), None
    except BadFilter as error:
        return runs.none(), error


def _read_order(text: str, notes: list[str]) -> Order:
    try:
        return Order.read(text or DEFAULT_ORDER)
    except BadFilter as error:
        notes.append(error.message.replace("order is", "s is", 1))
        return Order.read(DEFAULT_ORDER)


def _say_missing(wanted: Sequence[str], drawn: Sequence[Run]) -> list[str]:
    n_missing = len(wanted) - len({run.uid for run in drawn} & set(wanted))
    if not n_missing:
        return []
    verb = "run does" if n_missing == 1 else "runs do"
    return [f"{n_missing:,} selected {verb} not match, or log none of these metrics."]


def find_metrics(project: Project, wanted: Sequence[str], notes: list[str]) -> list[str]:
    """Return the metrics that names and regular expressions stand for, in the order given."""
    names = list(Metric.objects.filter(project=project).order_by("name"))
    known = {metric.name for metric in names}
    found: list[str] = []
    for item in wanted:
        matches = [item] if item in known else match_metrics(project, item, notes)
        if not matches:
            notes.append(f"No metric is called {item[:80]!r} or matches it.")
        found.extend(matches)
    distinct = list(dict.fromkeys(found))
    if len(distinct) > MAX_METRICS:
        notes.append(f"{len(distinct):,} metrics match; the first {MAX_METRICS} are drawn.")
    return distinct[:MAX_METRICS]


def match_metrics(project: Project, pattern: str, notes: list[str]) -> list[str]:
    """Return the metrics whose name matches a regular expression, whatever the case.

    The database does it: its matcher cannot be made to run for ever by a pattern, and its
    statements have a time limit.
    """
    try:
        check_pattern(pattern)
    except ValueError as error:
        notes.append(f"{pattern[:80]!r} is no pattern. {error}")
        return []
    found = Metric.objects.filter(project=project, name__iregex=pattern).order_by("name")
    return list(found.values_list("name", flat=True))


def count_metrics(runs: QuerySet[Run]) -> Counter[str]:
    """Return how many of the newest runs log each metric."""
    newest = runs.order_by("-created_at", "-id").values_list("summary", flat=True)[:SAMPLED_RUNS]
    counts: Counter[str] = Counter()
    for summary in newest:
        counts.update(list(summary))
    return counts


def rank_metrics(counts: Mapping[str, int]) -> list[str]:
    """Order metrics by how many runs log them; losses before others, those of a layer last."""
    losses = (LOSS_TRAIN, LOSS_VAL)
    return sorted(
        counts,
        key=lambda name: (
            -counts[name],
            canonical_metric(name) not in losses,
            any(sign.isdigit() for sign in name),
            name,
        ),
    )


def choose_first(counts: Mapping[str, int]) -> list[str]:
    """Return what is drawn where no metric is named: a loss, the validation loss before others.

    A loss that hardly any run logs would leave the others out of the picture.
    """
    ranked = rank_metrics(counts)
    losses = [name for name in ranked if canonical_metric(name) in (LOSS_VAL, LOSS_TRAIN)]
    most = max((counts[name] for name in losses), default=0)
    usual = [name for name in losses if 2 * counts[name] >= most]
    return sorted(usual, key=lambda name: canonical_metric(name) != LOSS_VAL)[:1] or ranked[:1]
