"""Bodies of the study endpoints: what they accept (strict) and what they answer (described)."""

from __future__ import annotations

import math

from rest_framework import serializers

from fitting.models import Estimator, FitKind, Quantity
from fitting.services import MAX_VARIANT_KEYS
from runs.models import NAME_LENGTH, RunState
from teams.api.fields import Choice, StrictSerializer, Text
from teams.models import SLUG_LENGTH

STUDY_NAME_LENGTH = 200
DESCRIPTION_LENGTH = 10_000
MAX_RUNS_PER_REQUEST = 1_000
SLUG_PATTERN = r"^[-a-zA-Z0-9_]+$"


class Number(serializers.FloatField):
    """A finite number; neither "0.5" nor true is one."""

    default_error_messages = {"wrong_type": "This must be a number."}

    def to_internal_value(self, data: object) -> float:
        """Refuse what is no number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("wrong_type")
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("wrong_type")
        return value


class Flag(serializers.BooleanField):
    """True or false; neither "true" nor 1 is one."""

    default_error_messages = {"wrong_type": "This must be true or false."}

    def to_internal_value(self, data: object) -> bool:
        """Refuse what is no boolean."""
        if not isinstance(data, bool):
            self.fail("wrong_type")
        return bool(data)


class StudyChange(StrictSerializer):
    """What may be changed of a study; `variant_keys: null` lets the server find them."""

    name = Text(max_length=STUDY_NAME_LENGTH, required=False)
    description = Text(max_length=DESCRIPTION_LENGTH, allow_blank=True, required=False)
    selection = serializers.DictField(child=Text(max_length=NAME_LENGTH), required=False)
    mapping = serializers.DictField(child=Text(max_length=NAME_LENGTH), required=False)
    variant_keys = serializers.ListField(
        child=Text(max_length=NAME_LENGTH),
        max_length=MAX_VARIANT_KEYS,
        required=False,
        allow_null=True,
    )
    compared_with = Text(max_length=SLUG_LENGTH, allow_blank=True, required=False)
    loss_metric = Text(max_length=NAME_LENGTH, allow_blank=True, required=False)
    estimator = Choice(Estimator.choices, required=False)
    tail_fraction = Number(required=False)


class StudyCreate(StudyChange):
    """A new study; its name defaults to the slug, everything else to what is recognised."""

    project = Text(max_length=SLUG_LENGTH)
    slug = serializers.RegexField(SLUG_PATTERN, max_length=SLUG_LENGTH)


class RunsAdd(StrictSerializer):
    """Runs to add by their ids."""

    runs = serializers.ListField(
        child=Text(max_length=NAME_LENGTH), min_length=1, max_length=MAX_RUNS_PER_REQUEST
    )


class ExclusionSet(StrictSerializer):
    """Leave a run out of the fits with a reason, or take it in again."""

    run = Text(max_length=NAME_LENGTH)
    excluded = Flag()
    reason = Text(max_length=NAME_LENGTH, allow_blank=True, required=False)


class AnalysisSwitch(StrictSerializer):
    """Make an analysis, or no longer."""

    analysis = Text(max_length=NAME_LENGTH)
    is_on = Flag()


class StudyDocument(serializers.Serializer):
    """A study and how many runs it has."""

    id = serializers.IntegerField()
    project = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    selection = serializers.DictField()
    mapping = serializers.DictField()
    variant_keys = serializers.ListField(child=serializers.CharField(), allow_null=True)
    compared_with = serializers.CharField(help_text="Slug of another study, or empty.")
    loss_metric = serializers.CharField(help_text="Empty: the recognised one.")
    estimator = serializers.ChoiceField(Estimator.choices)
    tail_fraction = serializers.FloatField()
    rev = serializers.IntegerField()
    n_runs = serializers.IntegerField()
    n_running = serializers.IntegerField()
    n_diverged = serializers.IntegerField()
    n_excluded = serializers.IntegerField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField()


class FitDocument(serializers.Serializer):
    """A published fit without its result."""

    version = serializers.IntegerField()
    analysis = serializers.CharField()
    kind = serializers.ChoiceField(FitKind.choices)
    token = serializers.IntegerField()
    input_digest = serializers.CharField()
    n_runs = serializers.IntegerField()
    n_points = serializers.IntegerField()
    data_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    duration_seconds = serializers.FloatField()
    lag_seconds = serializers.FloatField()


class FitResultDocument(FitDocument):
    """A published fit: estimates with intervals, or Refusals."""

    result = serializers.DictField()


class NamedFigure(serializers.Serializer):
    """A figure that can be asked for."""

    name = serializers.CharField()
    title = serializers.CharField()


class StudyViewDocument(StudyDocument):
    """A study with what it reads, how current its fit is, and the fit."""

    reads = serializers.DictField()
    progress = serializers.DictField()
    fit = FitDocument(allow_null=True)
    analyses = serializers.ListField(child=serializers.CharField())
    figures = NamedFigure(many=True)


class StudyRunDocument(serializers.Serializer):
    """A run as the study reads it."""

    run = serializers.CharField()
    name = serializers.CharField()
    n = serializers.FloatField()
    d = serializers.FloatField()
    c = serializers.FloatField()
    lr = serializers.FloatField()
    batch = serializers.FloatField()
    seed = serializers.FloatField()
    loss_at_init = serializers.FloatField()
    loss = serializers.FloatField()
    loss_metric = serializers.CharField(allow_null=True)
    is_provisional = serializers.BooleanField()
    variant = serializers.CharField()
    state = serializers.ChoiceField(RunState.choices)
    diverged = serializers.BooleanField()
    takes_part = serializers.BooleanField()
    excluded = serializers.BooleanField()
    reason = serializers.CharField()
    last_step = serializers.IntegerField(allow_null=True)


class ExclusionDocument(serializers.Serializer):
    """Who left a run out, when and why."""

    run = serializers.CharField()
    excluded = serializers.BooleanField()
    reason = serializers.CharField()
    by = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class SwitchDocument(serializers.Serializer):
    """Whether a study makes an analysis; who switched it off, and when."""

    analysis = serializers.CharField()
    title = serializers.CharField()
    covers = serializers.CharField()
    is_on = serializers.BooleanField()
    by = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class AddedDocument(serializers.Serializer):
    """How many runs are new to the study."""

    added = serializers.IntegerField()


class GridDocument(serializers.Serializer):
    """Scale against learning rate: how many runs each cell holds, by state."""

    scales = serializers.ListField(child=serializers.FloatField())
    lrs = serializers.ListField(child=serializers.FloatField())
    variants = serializers.ListField(child=serializers.DictField())
    without_axes = serializers.ListField(child=serializers.CharField())


class FigureDocument(serializers.Serializer):
    """A figure: data and layout for Plotly, the same numbers as a table, counts, law, refusal."""

    plot = serializers.CharField()
    rev = serializers.CharField()
    state = serializers.CharField()
    as_of = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    caption = serializers.CharField()
    data = serializers.ListField(child=serializers.DictField())
    layout = serializers.DictField()
    table = serializers.DictField()
    counts = serializers.DictField(child=serializers.IntegerField())
    law = serializers.DictField()
    refusal = serializers.DictField(allow_null=True)


class RevisionDocument(serializers.Serializer):
    """What moved; an unchanged revision is a 304."""

    rev = serializers.CharField()
    parts = serializers.DictField(child=serializers.CharField())
    running = serializers.IntegerField()
    fitting = serializers.DictField(allow_null=True)


class ForecastFreeze(serializers.Serializer):
    """A target: N and D for a loss, C for a compute-optimal size, N for a learning rate, N and
    LR for an attention logit.
    """

    quantity = serializers.ChoiceField(Quantity.choices)
    n = serializers.CharField(required=False, help_text="N in parameters, such as 400M")
    d = serializers.CharField(required=False, help_text="D in tokens, such as 8B")
    c = serializers.CharField(required=False, help_text="C in FLOPs, such as 1e21")
    lr = serializers.CharField(required=False, help_text="peak learning rate, such as 3e-2")
    approach = serializers.CharField(required=False)
    variant = serializers.CharField(required=False, allow_blank=True)


class PredictionDocument(serializers.Serializer):
    """A predicted number with its interval and the fit behind it."""

    quantity = serializers.ChoiceField(Quantity.choices)
    label = serializers.CharField()
    target = serializers.DictField()
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    level = serializers.FloatField(help_text="of the interval from low to high")
    value_text = serializers.CharField()
    interval_text = serializers.CharField()
    level_text = serializers.CharField()
    decades_beyond = serializers.FloatField()
    extrapolation = serializers.CharField()
    basis = serializers.CharField()
    fit_version = serializers.IntegerField()
    input_digest = serializers.CharField()


class ForecastDocument(PredictionDocument):
    """A frozen prediction; only its score can still come."""

    id = serializers.IntegerField()
    target_text = serializers.CharField()
    analysis = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    score = serializers.DictField(allow_null=True)
