"""Alerts, who has read them, who does not want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone

from runs.models import Run
from teams.models import Comment, Project, User

if TYPE_CHECKING:
    from teams.principals import Principal

KEY_LENGTH = 200
TITLE_LENGTH = 200
URL_LENGTH = 2000


class AlertKind(models.TextChoices):
    """What an alert tells of."""

    VERDICT = "verdict", "a diagnosis became worse"
    ENDED = "ended", "a run crashed or failed"
    FORECAST = "forecast", "a frozen forecast was scored"
    LOGGED = "logged", "the training script raised it"
    MENTION = "mention", "a comment names its reader"


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
        """Return the alerts of live runs and studies in the projects one may know of.

        What is told to one person alone is visible to nobody else.
        """
        live = self.filter(Q(run=None) | Q(run__deleted_at=None))
        live = live.filter(Q(study=None) | Q(study__deleted_at=None))
        mine = live.filter(Q(recipient=None) | Q(recipient=principal.user_id))
        return mine.filter(project__in=Project.objects.visible_to(principal))

    def for_everybody(self) -> AlertQuerySet:
        """Return what is told to all members of its project."""
        return self.filter(recipient=None)


class Alert(models.Model):
    """One thing that somebody should know, told once: `key` is unique in its project.

    A verdict alerts when it becomes warn or critical for the first time in an attempt; `evidence`
    holds its values and the thresholds that were in force. A quiet alert is listed only: what it
    tells of was imported, not watched. A mention is told to its `recipient` alone and reads its
    `comment` for what it says: it goes with it.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="alerts")
    run = models.ForeignKey(Run, models.CASCADE, related_name="alerts", null=True)
    study = models.ForeignKey("fitting.Study", models.CASCADE, related_name="alerts", null=True)
    comment = models.ForeignKey(Comment, models.CASCADE, related_name="alerts", null=True)
    recipient = models.ForeignKey(User, models.CASCADE, related_name="+", null=True)
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


class HookFormat(models.TextChoices):
    """What a hook is sent."""

    SLACK = "slack", "Slack-compatible"
    JSON = "json", "JSON"


class Webhook(models.Model):
    """An address outside that a project's alerts are sent to.

    The address is a secret: whoever knows it may post there. It leaves the server masked only.
    `nonce` and the server's key give the secret that signs messages (fitting/alerts/hooks.py).
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=TITLE_LENGTH)
    url = models.CharField(max_length=URL_LENGTH)
    format = models.CharField(max_length=5, choices=HookFormat.choices)
    least = models.CharField(max_length=8, choices=Level.choices, default=Level.WARN)
    nonce = models.CharField(max_length=32)
    failures = models.IntegerField(default=0, help_text="requests in a row that failed")
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"webhook {self.name} of {self.project}"


class DeliveryState(models.TextChoices):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(models.Model):
    """One alert on its way to one hook, written with the alert; without an alert it is a test.

    At least once: a worker that is lost after sending leaves it pending, and it is sent again.
    """

    hook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries", null=True)
    state = models.CharField(
        max_length=9, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now, help_text="not tried before")
    code = models.IntegerField(null=True, help_text="HTTP status of the newest answer")
    reason = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(null=True, help_text="of the newest request")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("hook", "alert"), name="delivery_once_a_hook"),
        )
        indexes = (
            models.Index(
                fields=("next_at",), name="delivery_due", condition=Q(state=DeliveryState.PENDING)
            ),
            models.Index(fields=("hook", "-id"), name="delivery_newest"),
        )

    def __str__(self) -> str:
        return f"delivery {self.pk} to {self.hook_id}: {self.state}"
