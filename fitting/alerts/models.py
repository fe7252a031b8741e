"""Alerts, who has read them, who does not want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone

from runs.models import Run
from teams.models import Project, User

if TYPE_CHECKING:
    from teams.principals import Principal

KEY_LENGTH = 200
TITLE_LENGTH = 200


class AlertKind(models.TextChoices):
    """What an alert tells of."""

    VERDICT = "verdict", "a diagnosis became worse"
    ENDED = "ended", "a run crashed or failed"
    FORECAST = "forecast", "a frozen forecast was scored"
    LOGGED = "logged", "the training script raised it"


class Level(models.TextChoices):
    """How bad it is; verdicts alert from warn on."""

    INFO = "info"
    WARN = "warn"
    CRITICAL = "critical"

    def includes(self, other: str) -> bool:
        """Say whether somebody who wants this level wants an alert of another."""
        order = list(Level)
        return order.index(Level(other)) >= order.index(self)


class AlertQuerySet(models.QuerySet["Alert"]):
    """Alerts, filtered by who asks."""

    def visible_to(self, principal: Principal) -> AlertQuerySet:
        """Return the alerts of live runs and studies in the projects one may know of."""
        live = self.filter(Q(run=None) | Q(run__deleted_at=None))
        live = live.filter(Q(study=None) | Q(study__deleted_at=None))
        return live.filter(project__in=Project.objects.visible_to(principal))


class Alert(models.Model):
    """One thing that somebody should know, told once: `key` is unique in its project.

    A verdict alerts when it becomes warn or critical for the first time in an attempt; `evidence`
    holds its values and the thresholds that were in force. A quiet alert is listed only: what it
    tells of was imported, not watched.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="alerts")
    run = models.ForeignKey(Run, models.CASCADE, related_name="alerts", null=True)
    study = models.ForeignKey("fitting.Study", models.CASCADE, related_name="alerts", null=True)
    kind = models.CharField(max_length=8, choices=AlertKind.choices)
    severity = models.CharField(max_length=8, choices=Level.choices)
    attempt = models.IntegerField(default=0)
    diagnostic = models.CharField(max_length=64, blank=True)
    title = models.CharField(max_length=TITLE_LENGTH)
    sentence = models.TextField()
    first_step = models.BigIntegerField(null=True)
    evidence = models.JSONField(default=dict)
    is_quiet = models.BooleanField(default=False)
    key = models.CharField(max_length=KEY_LENGTH)
    at = models.DateTimeField(default=timezone.now)

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("project", "key"), name="alert_once"),)
        indexes = (models.Index(fields=("project", "-id"), name="alert_newest"),)

    def __str__(self) -> str:
        return f"{self.severity}: {self.key}"


class AlertRead(models.Model):
    """One person has seen one alert."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="readers")
    user = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "alert"), name="alert_read_once"),)

    def __str__(self) -> str:
        return f"alert {self.alert_id} read by {self.user_id}"


class AlertMute(models.Model):
    """One person wants no alerts of a project, or of one run or study in it."""

    user = models.ForeignKey(User, models.CASCADE, related_name="alert_mutes")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, models.CASCADE, related_name="+", null=True)
    study = models.ForeignKey("fitting.Study", models.CASCADE, related_name="+", null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "project", "run", "study"),
                name="alert_mute_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(run=None) | Q(study=None), name="alert_mute_names_one_thing"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} mutes {self.run or self.study or self.project}"
