"""What was measured: runs and the metric store.

Hot tables (writer, batch, attempt, chunk) begin their primary key with the run, so that the
database can be distributed by run id without a change of code. Their columns and the promises
they carry are described in docs/architecture.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.utils import timezone

from teams.models import Project, User

if TYPE_CHECKING:
    from teams.principals import Principal

UID_LENGTH = 64
NAME_LENGTH = 256
VIEW_NAME_LENGTH = 120


class RunState(models.TextChoices):
    """How a run stands, as its client or the sweeper says."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"


class Outcome(models.TextChoices):
    """The server's verdict on the loss of a run, beside its state."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DIVERGED = "diverged"


class RunQuerySet(models.QuerySet["Run"]):
    """Runs, filtered by who asks."""

    def visible_to(self, principal: Principal) -> RunQuerySet:
        """Return the live runs of the projects that the principal may know of."""
        projects = Project.objects.visible_to(principal)
        return self.filter(deleted_at=None, project__in=projects)


class Run(models.Model):
    """One training run: its description, typed scale facts, and a summary of its metrics.

    `summary` maps a metric name to {last, last_step, min, max, count, ...} (runs/summaries.py);
    `facts` maps a scale fact to the list of its sources, strongest first. Non-finite numbers are
    strings in both, because jsonb refuses them.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    uid = models.CharField(max_length=UID_LENGTH)
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    group = models.CharField(max_length=NAME_LENGTH, blank=True)
    job_type = models.CharField(max_length=NAME_LENGTH, blank=True)
    notes = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)
    config = models.JSONField(default=dict)
    host = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)
    user_summary = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)

    state = models.CharField(max_length=11, choices=RunState.choices, default=RunState.RUNNING)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.UNKNOWN)
    outcome_evidence = models.JSONField(default=dict)
    exit_code = models.IntegerField(null=True)
    finish_reason = models.CharField(max_length=NAME_LENGTH, blank=True)
    request_id = models.UUIDField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="forks")
    fork_step = models.BigIntegerField(null=True)

    rev = models.BigIntegerField(default=0, help_text="batches committed")
    compacted_rev = models.BigIntegerField(
        default=0, db_default=0, help_text="batches that compaction has seen"
    )
    is_compacted = models.BooleanField(
        default=False, db_default=False, help_text="it has ended and compaction has seen all of it"
    )
    attempt = models.IntegerField(default=0, help_text="newest attempt")
    last_step = models.BigIntegerField(null=True)
    repeated = models.BigIntegerField(default=0)
    overwritten = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)
    clock_clamped = models.BooleanField(
        default=False, help_text="a time of the client lay before 2000 or in the future"
    )
    settle_at = models.DateTimeField(
        null=True, help_text="since when a series waits for its summary to be recomputed"
    )
    ending = models.JSONField(null=True, help_text="an end that waits for the batches it names")

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, help_text="by the client's clock")
    ended_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True, help_text="last batch, by the database's clock")
    heartbeat_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=timezone.now, help_text="last change of any kind")
    archived_at = models.DateTimeField(null=True, help_text="since when lists leave it out")
    deleted_at = models.DateTimeField(null=True)
    purge_at = models.DateTimeField(null=True, help_text="when a deleted run may be erased")

    n_params = models.FloatField(null=True)
    n_params_non_embedding = models.FloatField(null=True)
    n_params_active = models.FloatField(null=True)
    n_tokens = models.FloatField(null=True)
    target_tokens = models.FloatField(null=True)
    flops = models.FloatField(null=True)
    flop_convention = models.CharField(max_length=32, blank=True)
    flops_per_token = models.FloatField(null=True)
    tokens_per_step = models.FloatField(null=True)
    batch_tokens = models.FloatField(null=True)
    seq_len = models.FloatField(null=True)
    width = models.FloatField(null=True)
    depth = models.FloatField(null=True)
    peak_lr = models.FloatField(null=True)
    warmup_steps = models.FloatField(null=True)
    total_steps = models.FloatField(null=True)
    loss_at_init = models.FloatField(null=True)
    seed = models.FloatField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "uid"), name="run_uid_once_a_project"),
        )
        indexes = (
            models.Index(fields=("project", "-created_at", "-id"), name="run_newest_first"),
            models.Index(fields=("project", "group"), name="run_by_group"),
            models.Index(fields=("project", "-changed_at"), name="run_changed"),
            models.Index(
                fields=("id",), condition=models.Q(state=RunState.RUNNING), name="run_running"
            ),
            models.Index(
                fields=("settle_at",),
                condition=models.Q(settle_at__isnull=False),
                name="run_unsettled",
            ),
            models.Index(
                fields=("id",),
                condition=models.Q(is_compacted=False),
                name="run_to_compact",
            ),
            models.Index(
                fields=("id",),
                condition=models.Q(deleted_at__isnull=False),
                name="run_to_purge",
            ),
            GinIndex(fields=("tags",), name="run_by_tag"),
            models.Index(
                fields=("project",),
                condition=models.Q(archived_at__isnull=False),
                name="run_archived",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.uid


class BulkAction(models.TextChoices):
    """What is done to many runs at once."""

    TAG = "tag"
    UNTAG = "untag"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    DELETE = "delete"


class BulkEdit(models.Model):
    """One change of many runs, and which of them it changed: what undo needs to know."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="bulk_edits")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    action = models.CharField(max_length=9, choices=BulkAction.choices)
    tag = models.CharField(max_length=NAME_LENGTH, blank=True)
    runs = ArrayField(models.BigIntegerField())
    created_at = models.DateTimeField(default=timezone.now)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("project", "user", "-created_at"), name="bulk_edit_newest"),
        )

    def __str__(self) -> str:
        return f"{self.action} {len(self.runs)} runs"


class ViewPage(models.TextChoices):
    """Pages whose state is saved; each is the name of its route."""

    RUNS = "runs", "Runs"
    EXPLORE = "explore", "Curves"
    COMPARE = "compare", "Compare"


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    """Saved views, filtered by who asks."""

    def seen_by(self, user_id: int | None, deleted: bool = False) -> SavedViewQuerySet:
        """Return the shared views and a person's own."""
        own = models.Q(is_shared=True) | models.Q(owner=user_id)
        return self.filter(own, deleted_at__isnull=not deleted)

    def visible_to(self, principal: Principal, deleted: bool = False) -> SavedViewQuerySet:
        """Return the views that the principal sees in its projects."""
        projects = Project.objects.visible_to(principal)
        return self.seen_by(principal.user_id, deleted).filter(project__in=projects)


class SavedView(models.Model):
    """The state of a page under a name: `query` is its address, in the order of docs/api.md."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="views")
    owner = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    page = models.CharField(max_length=8, choices=ViewPage.choices)
    name = models.CharField(max_length=VIEW_NAME_LENGTH)
    query = models.TextField(blank=True)
    is_shared = models.BooleanField(default=False, help_text="for all members of the project")
    is_default = models.BooleanField(default=False, help_text="what a bare address opens")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("project", "page", "name"),
                condition=models.Q(is_shared=True, deleted_at=None),
                name="view_name_once_a_project",
            ),
            models.UniqueConstraint(
                fields=("project", "page", "owner", "name"),
                condition=models.Q(is_shared=False, deleted_at=None),
                name="view_name_once_an_owner",
            ),
            models.UniqueConstraint(
                fields=("project", "page"),
                condition=models.Q(is_shared=True, is_default=True, deleted_at=None),
                name="view_default_once_a_project",
            ),
            models.UniqueConstraint(
                fields=("project", "page", "owner"),
                condition=models.Q(is_shared=False, is_default=True, deleted_at=None),
                name="view_default_once_an_owner",
            ),
        )

    def __str__(self) -> str:
        return f"view {self.name} of {self.page}"


class Metric(models.Model):
    """A metric name of a project; rows of the store carry its id."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=NAME_LENGTH)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "name"), name="metric_name_once_a_project"),
        )

    def __str__(self) -> str:
        return self.name


class Writer(models.Model):
    """One process that logs into a run, and how far its batches have arrived."""

    pk = models.CompositePrimaryKey("run_id", "writer")
    run = models.ForeignKey(Run, models.CASCADE, related_name="writers", db_index=False)
    writer = models.UUIDField()
    last_seq = models.BigIntegerField(default=0, help_text="last contiguous seq")
    max_seq = models.BigIntegerField(default=0)
    attempt = models.IntegerField(default=0)
    attempt_key = models.CharField(max_length=NAME_LENGTH, blank=True)
    resumed = models.BooleanField(default=False)
    unordered = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.writer} of run {self.run_id}"


class Batch(models.Model):
    """The idempotency key of one accepted batch, written with its chunks."""

    pk = models.CompositePrimaryKey("run_id", "writer", "seq")
    run = models.ForeignKey(
        Run, models.CASCADE, related_name="batches", db_index=False, db_constraint=False
    )
    writer = models.UUIDField()
    seq = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)
    n_points = models.IntegerField()
    received_at = models.DateTimeField()

    class Meta:
        indexes = (BrinIndex(fields=("received_at",), name="batch_by_time"),)

    def __str__(self) -> str:
        return f"batch {self.seq} of {self.writer}"


class Attempt(models.Model):
    """A stretch of a run that replaces what earlier attempts logged from `start_step` on."""

    pk = models.CompositePrimaryKey("run_id", "no")
    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts", db_index=False)
    no = models.IntegerField()
    start_step = models.BigIntegerField()
    rev = models.BigIntegerField()
    reason = models.CharField(max_length=6, choices=(("resume", "resume"), ("rewind", "rewind")))
    attempt_key = models.CharField(max_length=NAME_LENGTH, blank=True)
    request_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"attempt {self.no} of run {self.run_id} from step {self.start_step}"


class Chunk(models.Model):
    """Some points of one series, with statistics that answer most questions undecoded.

    `steps` and `values` are little-endian int64 and float64 arrays of length n, raw or encoded
    as `codec` says. `rev` is the order of arrival; a merged chunk keeps the highest of its range.
    """

    pk = models.CompositePrimaryKey("run_id", "metric_id", "rev")
    run = models.ForeignKey(
        Run, models.CASCADE, related_name="chunks", db_index=False, db_constraint=False
    )
    metric = models.ForeignKey(
        Metric, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    rev = models.BigIntegerField()
    rev_first = models.BigIntegerField()
    attempt = models.IntegerField()
    codec = models.SmallIntegerField(default=0, help_text="0 raw, 1 pcodec")
    n = models.IntegerField()
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    steps = models.BinaryField()
    values = models.BinaryField()
    last_value = models.FloatField()
    min_value = models.FloatField(null=True)
    max_value = models.FloatField(null=True)
    sum_value = models.FloatField()
    n_nan = models.IntegerField(default=0)
    n_posinf = models.IntegerField(default=0)
    n_neginf = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.n} points of metric {self.metric_id} of run {self.run_id}"
