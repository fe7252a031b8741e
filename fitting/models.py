"""What we conclude: studies, their fits, and the outbox and leases that keep fits current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from runs.models import NAME_LENGTH, Run
from teams.models import SLUG_LENGTH, Project, User

if TYPE_CHECKING:
    from teams.principals import Principal


class Estimator(models.TextChoices):
    """How one number, the final loss, is read off a loss curve."""

    LAST = "last"
    TAIL_MEAN = "tail_mean"
    TAIL_MEDIAN = "tail_median"
    EMA = "ema"
    BEST = "best"


class FitKind(models.TextChoices):
    """The kinds of work that a changed study or run leads to."""

    FAST = "fast"
    DEEP = "deep"
    DIAG = "diag"
    RUN_DIAG = "run_diag"


class StudyQuerySet(models.QuerySet["Study"]):
    """Studies, filtered by who asks."""

    def visible_to(self, principal: Principal) -> StudyQuerySet:
        """Return the live studies of the projects that the principal may know of."""
        projects = Project.objects.visible_to(principal)
        return self.filter(deleted_at=None, project__in=projects)


COMPARED_WITH = "compared_with"  # among the settings of a study


class Study(models.Model):
    """A named selection of runs with the meaning of its axes.

    `selection` says which runs join by themselves: {"kind": "list"}, {"kind": "all"} or
    {"kind": "group", "group": "A1"}. `mapping` names what is read as each quantity: keys n, d, c,
    lr, batch, seed and loss_at_init, values a scale fact ("n_params") or a config key
    ("config.model.width"); an absent key means the recognised default.
    `variant_keys` are the config keys whose values split the runs into variants.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="studies")
    slug = models.SlugField(max_length=SLUG_LENGTH)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    selection = models.JSONField(default=dict)
    mapping = models.JSONField(default=dict)
    variant_keys = ArrayField(models.CharField(max_length=NAME_LENGTH), default=list, blank=True)
    loss_metric = models.CharField(max_length=NAME_LENGTH, blank=True)
    estimator = models.CharField(max_length=11, choices=Estimator.choices, default=Estimator.LAST)
    tail_fraction = models.FloatField(default=0.05)
    settings = models.JSONField(default=dict, help_text="options of the analyses")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    rev = models.BigIntegerField(default=0, help_text="edits of the study itself")
    deleted_at = models.DateTimeField(null=True)
    runs = models.ManyToManyField(Run, through="StudyRun", related_name="studies")

    objects = StudyQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("project", "slug"), name="study_slug_once_a_project"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def compared_with(self) -> str:
        """Return the slug of the study of this project whose ladders stand beside its own."""
        return str(self.settings.get(COMPARED_WITH, ""))

    @compared_with.setter
    def compared_with(self, slug: str) -> None:
        """Keep the slug with the other settings."""
        self.settings = {**self.settings, COMPARED_WITH: slug}

    @property
    def has_chosen_variants(self) -> bool:
        """Say whether a person chose the variant keys; else they are guessed from the runs."""
        return self.settings.get("variants") == "chosen"

    @property
    def reads_series(self) -> bool:
        """Say whether the estimator needs the loss curve, not only its summary."""
        return self.estimator not in (Estimator.LAST, Estimator.BEST)


class StudyRun(models.Model):
    """One run's place in a study, and whether and why it is left out of the fits."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="study_runs")
    run = models.ForeignKey(Run, models.CASCADE, related_name="study_runs")
    added_at = models.DateTimeField(default=timezone.now)
    is_listed = models.BooleanField(
        default=True, help_text="added by name; false: joined by the study's selection"
    )
    excluded = models.BooleanField(default=False)
    exclusion_reason = models.CharField(max_length=NAME_LENGTH, blank=True)
    excluded_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    excluded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("study", "run"), name="study_run_once"),)

    def __str__(self) -> str:
        return f"run {self.run_id} in study {self.study_id}"


class SwitchedOff(models.Model):
    """An analysis that a study does not make; without a row it is made as its runs support it."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="switched_off")
    analysis = models.CharField(max_length=64)
    switched_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    switched_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("study", "analysis"), name="switched_off_once"),
        )

    def __str__(self) -> str:
        return f"{self.analysis} of study {self.study_id} is off"


class Dirty(models.Model):
    """The outbox: something changed that can alter a fit of this subject.

    Rows are only ever added by the transaction that made the change, and deleted by id when the
    work that saw them is published.
    """

    subject = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=FitKind.choices)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = (models.Index(fields=("subject", "kind", "id"), name="dirty_by_subject"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"


class FitState(models.Model):
    """The lease of one (subject, kind): who may publish, since when, and how it went before."""

    pk = models.CompositePrimaryKey("subject", "kind")
    subject = models.BigIntegerField()
    kind = models.CharField(max_length=8, choices=FitKind.choices)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, help_text="null: nobody holds it")
    not_before = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0, help_text="claims since the last publish")
    failures = models.IntegerField(default=0, help_text="claims that raised since the last publish")
    last_duration_seconds = models.FloatField(default=0)
    last_error = models.TextField(blank=True)
    progress = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}, token {self.token}"


class Fit(models.Model):
    """One published result of one analysis of a study: a fit or a Refusal, never changed."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="fits")
    analysis = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=FitKind.choices)
    token = models.BigIntegerField()
    input_digest = models.CharField(max_length=64)
    n_runs = models.IntegerField()
    n_points = models.BigIntegerField()
    data_at = models.DateTimeField(help_text="when the snapshot was taken, by the database's clock")
    created_at = models.DateTimeField(default=timezone.now)
    duration_seconds = models.FloatField()
    lag_seconds = models.FloatField(default=0, help_text="from the oldest change to the publish")
    result = models.JSONField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("study", "analysis", "kind", "token"), name="fit_once_a_token"
            ),
        )
        indexes = (models.Index(fields=("study", "analysis", "-id"), name="fit_newest"),)

    def __str__(self) -> str:
        return f"{self.analysis} of study {self.study_id}, version {self.token}"


class RunDiagnosis(models.Model):
    """The newest verdicts of a run, and the state from which the next ones grow.

    `verdicts` is the list of fitting.maths.diagnose.verdict.Verdict as dictionaries, with titles;
    `severities` maps each diagnostic to its severity, for tables of many runs. `rev` is the last
    batch that the state holds, `digest` names what else it depends on. `first_bad_step` is the one
    source of when a run went bad: tables, filters and the Instabilities tab read it.
    """

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="diagnosis")
    attempt = models.IntegerField()
    token = models.BigIntegerField()
    rev = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    state = models.BinaryField()
    verdicts = models.JSONField(default=list)
    severities = models.JSONField(default=dict)
    compared = models.JSONField(default=dict, help_text="what studies compare between runs")
    worst = models.CharField(max_length=8)
    counts = models.JSONField(default=dict)
    first_bad_step = models.BigIntegerField(
        null=True, help_text="earliest step since which a diagnostic is at warn or critical"
    )
    data_at = models.DateTimeField(help_text="when the snapshot was taken")
    computed_at = models.DateTimeField(default=timezone.now)
    duration_seconds = models.FloatField()
    is_rebuilt = models.BooleanField(help_text="read from all points, not from the newest only")

    def __str__(self) -> str:
        return f"diagnosis of run {self.run_id}: {self.worst}"


class ProjectThreshold(models.Model):
    """A threshold that a project set for itself; without a row the default holds."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="thresholds")
    diagnostic = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    value = models.FloatField()
    changed_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("project", "diagnostic", "name"), name="threshold_once_a_project"
            ),
        )

    def __str__(self) -> str:
        return f"{self.diagnostic} {self.name} {self.value:g}"


class MetricMeaning(models.Model):
    """What a person says a metric of a project stands for, whatever its name looks like.

    `key` is the canonical key, empty where no diagnostic may read the metric; `unit` says what
    has to be done to its values first (fitting.maths.diagnose.units).
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="metric_meanings")
    metric = models.CharField(max_length=NAME_LENGTH)
    key = models.CharField(max_length=NAME_LENGTH, blank=True)
    unit = models.CharField(max_length=16, blank=True)
    changed_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "metric"), name="meaning_once_a_project"),
        )

    def __str__(self) -> str:
        return f"{self.metric} is {self.key or 'nothing'}"


class Quantity(models.TextChoices):
    """What a forecast predicts."""

    LOSS = "loss", "final loss of a run of N parameters on D tokens"
    OPTIMAL_SIZE = "optimal_size", "compute-optimal N at a budget C"
    OPTIMAL_LR = "optimal_lr", "best learning rate at N parameters"
    MAX_LOGIT = "max_logit", "largest attention logit of a run of N parameters at LR"


class Forecast(models.Model):
    """A prediction frozen before the runs that test it exist; it is never changed.

    `target` holds variant, approach and those of n_params, n_tokens, flops, peak_lr and step that
    the quantity needs. `known` names what the fit had seen of the target, so that only later
    evidence scores.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="forecasts")
    quantity = models.CharField(max_length=12, choices=Quantity.choices)
    target = models.JSONField()
    value = models.FloatField()
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    decades_beyond = models.FloatField(help_text="log10 of the target over the largest fitted one")
    fit = models.ForeignKey(Fit, models.PROTECT, related_name="+")
    known = models.JSONField(default=list)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.quantity} of study {self.study_id}, frozen {self.created_at:%Y-%m-%d %H:%M}"


from fitting.alerts.models import (  # noqa: E402, F401 (they refer to Study)
    Alert,
    AlertMute,
    AlertRead,
    Delivery,
    Webhook,
)
