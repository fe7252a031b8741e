"""The runs of a study as rows: one reading for fits, figures and tables."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.models.fields.json import KeyTransform

from fitting.axes import (
    AXES,
    LARGEST,
    OFFERED_VARIANT_KEYS,
    SCALE_FACTS,
    SMALLEST,
    Config,
    choose_sources,
    find_config,
    format_value,
    guess_variant_keys,
    index_config,
    label_variants,
    read_axis,
)
from fitting.models import Estimator, Fit, Study, StudyRun
from runs.models import Metric, Outcome, RunState
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, canonical_metric

if TYPE_CHECKING:
    from django.db.models import QuerySet

KnownLosses = Mapping[str, list[object]]
# What a run found, and how often it was looked at: no setting that makes another training of it.
NO_SETTINGS = frozenset(
    {
        "loss_at_init",
        *("log_every", "log_interval", "log_freq", "logging_steps"),
        *("eval_every", "eval_interval", "eval_freq", "eval_steps"),
        *("save_every", "save_interval", "save_freq", "save_steps"),
        *("part", "group", "name", "tag", "notes"),  # labels
    }
)
MOST_NAMED = 3  # config keys in a warning
LOSS_METRICS = (LOSS_VAL, LOSS_TRAIN)  # in the order in which they are read
RUN_COLUMNS = (
    "uid",
    "name",
    "state",
    "outcome",
    "rev",
    "attempt",
    "changed_at",
    "last_step",
    "config",
)
MEMBER_COLUMNS = ("excluded", "exclusion_reason")


@dataclass(frozen=True)
class StudyRow:
    """One run of a study, as the study's mapping reads it.

    `loss` is NaN where the run has none yet; `is_provisional` says that it is the last value
    where the study's estimator wants more of the curve than the summary holds. `stamp` moves with
    everything that can change the run's curves: batches, attempts, edits.
    """

    run_id: int
    uid: str
    name: str
    n: float
    d: float
    c: float
    lr: float
    batch: float
    seed: float
    loss_at_init: float
    loss: float
    loss_metric: str
    loss_step: int | None
    n_values: int
    is_provisional: bool
    state: str
    outcome: str
    diverged: bool
    excluded: bool
    exclusion_reason: str
    stamp: str
    last_step: int | None
    total_steps: int | None
    choices: Mapping[str, str]
    variant: str = ""

    @property
    def is_finished(self) -> bool:
        """Say whether the run reached its end."""
        return self.state == RunState.FINISHED

    @property
    def has_axes(self) -> bool:
        """Say whether scale and learning rate are known and can stand on a log axis."""
        return all(SMALLEST <= value <= LARGEST for value in (self.n, self.lr))

    @property
    def is_drawn(self) -> bool:
        """Say whether the figure of the sweep shows the run."""
        return not self.excluded and self.has_axes and not self.has_no_height

    @property
    def has_compute(self) -> bool:
        """Say whether size, tokens and FLOPs are known and can stand on a log axis."""
        return all(SMALLEST <= value <= LARGEST for value in (self.n, self.d, self.c))

    @property
    def has_ended(self) -> bool:
        """Say whether the run may count in a fit: ended well or diverged, and not excluded."""
        return not self.excluded and (self.is_finished or self.diverged)

    @property
    def takes_part(self) -> bool:
        """Say whether the run counts in the sweep of learning rates."""
        return self.has_axes and self.has_ended

    @property
    def has_nonfinite_loss(self) -> bool:
        """Say whether the loss is logged and not finite."""
        return bool(self.loss_metric) and not math.isfinite(self.loss)

    @property
    def has_no_height(self) -> bool:
        """Say whether a figure of the loss has nowhere to put the run."""
        return not self.diverged and not math.isfinite(self.loss)

    @property
    def remark(self) -> str:
        """Return what a table says of the run beside its numbers."""
        if self.excluded:
            return f"left out: {self.exclusion_reason or 'no reason given'}"
        if self.diverged:
            return "diverged"
        if not self.has_axes:
            return "no size or learning rate"
        if not self.loss_metric:
            return "no loss logged"
        return "" if self.is_finished else "not finished, not in the fit"


@dataclass(frozen=True)
class StudyRows:
    """All runs of a study, with what was read as what."""

    rows: tuple[StudyRow, ...]
    sources: Mapping[str, str]
    loss_metric: str
    variant_keys: tuple[str, ...]
    are_variants_chosen: bool
    warnings: tuple[str, ...] = field(default=())

    @property
    def included(self) -> list[StudyRow]:
        """Return the rows that are not excluded."""
        return [row for row in self.rows if not row.excluded]

    @property
    def logged_loss(self) -> str:
        """Return the names under which the runs logged the loss, the commonest first."""
        names = Counter(row.loss_metric for row in self.rows if row.loss_metric)
        return ", ".join(name for name, _ in names.most_common()) or self.loss_metric


def read_rows(study: Study) -> StudyRows:
    """Read the study's runs with two queries, whatever their number."""
    metrics = find_loss_metrics(study)
    records = list(_select_members(study, metrics))
    sources = choose_sources(study.mapping, records)
    losses = choose_loss(study, metrics, records)
    keys = tuple(study.variant_keys) if study.has_chosen_variants else OFFERED_VARIANT_KEYS
    rows = [_make_row(study, record, sources, losses, keys) for record in records]
    if not study.has_chosen_variants:
        keys = guess_variant_keys([row for row in rows if not row.excluded])
    labels = label_variants(rows, keys)
    labelled = tuple(replace(row, variant=label) for row, label in zip(rows, labels, strict=True))
    return StudyRows(
        rows=labelled,
        sources=sources,
        loss_metric=losses.canonical,
        variant_keys=keys,
        are_variants_chosen=study.has_chosen_variants,
        warnings=(*find_mixed_lengths(labelled), *find_mixed_configs(labelled, records)),
    )


@dataclass(frozen=True)
class LossChoice:
    """Which metrics hold the loss: `names` in the order in which a run's is looked for.

    `watched` are all metrics whose last value tells of a divergence.
    """

    canonical: str
    names: tuple[str, ...]
    watched: tuple[str, ...]


def find_loss_metrics(study: Study) -> dict[str, str]:
    """Return the project's loss metrics: name -> canonical name."""
    known = Metric.objects.filter(project=study.project_id)
    names = known.filter(name__icontains="loss").values_list("name", flat=True)
    found = {name: canonical_metric(name) for name in names}
    metrics = {name: canonical for name, canonical in found.items() if canonical in LOSS_METRICS}
    return metrics | ({study.loss_metric: study.loss_metric} if study.loss_metric else {})


def is_loss(name: str) -> bool:
    """Say whether this is a loss: what is fitted by default, and what tells of divergence."""
    return canonical_metric(name) in LOSS_METRICS


def choose_loss(
    study: Study, metrics: Mapping[str, str], records: Sequence[Mapping[str, object]]
) -> LossChoice:
    """Choose the declared metric, else the validation loss if half of the runs log one."""
    watched = tuple(metrics)
    if study.loss_metric:
        return LossChoice(study.loss_metric, (study.loss_metric,), watched)
    places = {name: place for place, name in enumerate(metrics)}
    have = dict.fromkeys(LOSS_METRICS, 0)
    for record in records:
        logged = {metrics[name] for name, place in places.items() if record[f"m{place}"]}
        for canonical in logged & set(have):
            have[canonical] += 1
    canonical = LOSS_VAL if 2 * have[LOSS_VAL] >= have[LOSS_TRAIN] else LOSS_TRAIN
    names = sorted(name for name, its in metrics.items() if its == canonical)
    return LossChoice(canonical, tuple(names), watched)


def _select_members(study: Study, metrics: Iterable[str]) -> QuerySet[StudyRun]:
    """Select one record a run; of the summaries only the metrics `m0`, `m1`, ... in question."""
    columns = {column: F(f"run__{column}") for column in (*RUN_COLUMNS, *SCALE_FACTS)}
    values = {f"m{place}": KeyTransform(name, "run__summary") for place, name in enumerate(metrics)}
    members = StudyRun.objects.filter(study=study, run__deleted_at=None).order_by("run_id")
    return members.values("run_id", *MEMBER_COLUMNS, **columns, **values)


def _make_row(
    study: Study,
    record: Mapping[str, object],
    sources: Mapping[str, str],
    losses: LossChoice,
    keys: Sequence[str],
) -> StudyRow:
    config = index_config(record["config"])
    axes = {axis: read_axis(sources[axis], record, config) for axis in AXES}
    summaries = [(name, record[f"m{place}"]) for place, name in enumerate(losses.watched)]
    logged = {name: summary for name, summary in summaries if summary}
    name = next((name for name in losses.names if name in logged), "")
    summary = logged.get(name, {})
    loss = decode_summary(summary, "min" if study.estimator == Estimator.BEST else "last")
    row = StudyRow(
        run_id=record["run_id"],
        uid=record["uid"],
        name=record["name"] or record["uid"],
        **axes,
        loss=loss,
        loss_metric=name,
        loss_step=summary.get("last_step"),
        n_values=int(summary.get("count", 0)),
        is_provisional=bool(name) and study.reads_series,
        state=record["state"],
        outcome=record["outcome"],
        diverged=record["outcome"] == Outcome.DIVERGED,
        excluded=record["excluded"],
        exclusion_reason=record["exclusion_reason"],
        stamp=_make_stamp(record),
        last_step=record["last_step"],
        total_steps=record["total_steps"],
        choices={key: format_value(find_config(config, key)) for key in keys},
    )
    return replace(row, diverged=row.diverged or _has_diverged(row, logged))


def _make_stamp(record: Mapping[str, object]) -> str:
    changed_us = int(record["changed_at"].timestamp() * 1e6)
    return f"{record['rev']}.{record['attempt']}.{changed_us}"


def decode_summary(summary: Mapping[str, object], key: str) -> float:
    """Return one number of a metric's summary, NaN where there is none; a huge one is infinite."""
    value = decode_float(summary.get(key))
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) > LARGEST else value


def _has_diverged(row: StudyRow, logged: Mapping[str, Mapping[str, object]]) -> bool:
    """Judge what no diagnosis has judged yet, and the study's own loss, by their last values.

    The run's outcome is the one rule (docs/diagnostics.md). Until it is known the two of its
    classes count that need no curve: a loss that is not finite, and an end above the initial loss.
    """
    if row.outcome != Outcome.UNKNOWN:
        return row.has_nonfinite_loss
    lasts = [decode_summary(summary, "last") for summary in logged.values()]
    if not all(math.isfinite(last) for last in lasts):
        return True
    return row.is_finished and row.loss > row.loss_at_init


def find_mixed_lengths(rows: Sequence[StudyRow]) -> list[str]:
    """Warn of finished runs that would count as repeats but trained for different lengths."""
    spans: dict[tuple[str, float, float], list[int]] = {}
    for row in rows:
        if row.takes_part and not row.diverged and row.last_step:
            spans.setdefault((row.variant, row.n, row.lr), []).append(row.last_step)
    mixed = [steps for steps in spans.values() if max(steps) > 1.05 * min(steps)]
    if not mixed:
        return []
    low, high = min(map(min, mixed)), max(map(max, mixed))
    return [
        f"{len(mixed)} points average runs of different length ({low:,} to {high:,} steps) as "
        "repeats; choose a variant key that tells them apart, or exclude some."
    ]


def find_mixed_configs(
    rows: Sequence[StudyRow], records: Sequence[Mapping[str, object]]
) -> list[str]:
    """Warn of runs that would count as repeats but differ in more than their seed.

    A key counts where two of its values each stand in several cells: a seed, a host or a path
    has other values in every run, or the same ones everywhere.
    """
    cells: dict[tuple[object, ...], list[Config]] = defaultdict(list)
    for row, record in zip(rows, records, strict=True):
        if row.takes_part and not row.diverged:
            key = (row.variant, row.n, row.lr, row.last_step)
            cells[key].append(index_config(record["config"]))
    mixed: dict[str, Counter[str]] = defaultdict(Counter)
    n_mixed: Counter[str] = Counter()
    for configs in cells.values():
        for name in {name for config in configs for name in config} if len(configs) > 1 else ():
            values = {format_value(config.get(name)) for config in configs}
            last = name.rpartition(".")[2]
            if len(values) > 1 and "seed" not in last and last not in NO_SETTINGS:
                mixed[name].update(values)
                n_mixed[name] += 1
    found = {name.rpartition(".")[2] for name in mixed if _recurs(mixed[name])}
    if not found:
        return []
    keys = ", ".join(sorted(found)[:MOST_NAMED]) + (" and more" if len(found) > MOST_NAMED else "")
    n = max(n_mixed[name] for name in mixed if _recurs(mixed[name]))
    return [
        f"{n} points average runs that differ in {keys} as repeats; choose it as a variant key "
        "under Edit definition, or exclude some."
    ]


def _recurs(values: Counter[str]) -> bool:
    return sum(n > 1 for n in values.values()) > 1


def find_known_losses(study: Study, loss_metric: str, fit: Fit | None) -> KnownLosses:
    """Return uid -> [run's stamp, loss] of a fit that read the same metric the same way."""
    if fit is None:
        return {}
    used, wanted = fit.result["settings"], [study.estimator, study.tail_fraction, loss_metric]
    same = [used["estimator"], used["tail_fraction"], fit.result["loss_metric"]] == wanted
    return fit.result["losses"] if same else {}


def take_known_loss(row: StudyRow, known: KnownLosses) -> StudyRow:
    """Return the row with the loss that was read off its curve, if it has not grown since."""
    stamp, loss = known.get(row.uid, (None, None))
    if stamp != row.stamp or loss is None:
        return row
    return replace(row, loss=decode_float(loss), is_provisional=False)
