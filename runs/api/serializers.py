"""Bodies of the run endpoints: what they accept (strict) and what they answer (described)."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.facts import DECLARABLE
from runs.models import NAME_LENGTH, UID_LENGTH, Outcome, RunState
from runs.validation import MAX_INTEGER, check_name
from teams.api.fields import Choice, Flag, Integer, StrictSerializer, Text
from teams.models import SLUG_LENGTH

RESUME = ("allow", "must", "never")
ENDS = (*(RunState.FINISHED, RunState.FAILED, RunState.INTERRUPTED, RunState.CRASHED),)
UID_PATTERN = rf"^[A-Za-z0-9_-]{{1,{UID_LENGTH}}}$"
SLUG_PATTERN = r"^[-a-zA-Z0-9_]+$"
MAX_STUDIES = 20
MAX_BATCHES = 100  # that come with their run
TEXT_SCHEMA = {"type": "string"}
ONE_OR_MANY = {"oneOf": [TEXT_SCHEMA, {"type": "array", "items": TEXT_SCHEMA}]}


class Number(serializers.FloatField):
    """A finite number; neither "0.5" nor true is one."""

    default_error_messages = {"wrong_type": "This must be a number."}

    def to_internal_value(self, data: object) -> float:
        """Refuse what is no number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("wrong_type")
        return super().to_internal_value(data)


class EndTime(Number):
    """When a run that was brought from elsewhere ended, between 2000 and 2100."""

    def __init__(self, **options: object) -> None:
        super().__init__(min_value=946_684_800, max_value=4_102_444_800, **options)


class Uuid(serializers.UUIDField):
    """A UUID in a string."""

    default_error_messages = {"wrong_type": "This must be a UUID in a string."}

    def to_internal_value(self, data: object) -> object:
        """Refuse what is no string."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        return super().to_internal_value(data)


class Step(Integer):
    """A step: a whole number between 0 and 2^53 - 1."""

    def __init__(self, **options: object) -> None:
        super().__init__(min_value=0, max_value=MAX_INTEGER, **options)


class Document(serializers.JSONField):
    """A JSON object."""

    default_error_messages = {"wrong_type": "This must be a JSON object."}

    def to_internal_value(self, data: object) -> dict[str, object]:
        """Refuse what is no object."""
        if isinstance(data, dict):
            return data
        raise serializers.ValidationError(self.error_messages["wrong_type"], code="wrong_type")


class Scale(Document):
    """Scale facts: name -> number or text with a unit."""

    default_error_messages = {"unknown_fact": "{name} is no scale fact; they are {known}."}

    def to_internal_value(self, data: object) -> dict[str, object]:
        """Refuse facts that nobody reads."""
        facts = super().to_internal_value(data)
        unknown = sorted(set(facts) - DECLARABLE)
        if unknown:
            known = ", ".join(sorted(DECLARABLE))
            text = f"{unknown[0][:64]!r} is no scale fact; the facts are {known}."
            raise serializers.ValidationError({unknown[0]: [serializers.ErrorDetail(
                text, "unknown_field")]})  # fmt: skip
        return facts


class Tags(serializers.ListField):
    """Tags; the limit on their number is a quota."""

    child = Text(max_length=NAME_LENGTH)

    def to_internal_value(self, data: object) -> list[str]:
        """Check each tag as a name, keep each once."""
        tags = [check_name(tag, "/tags") for tag in super().to_internal_value(data)]
        return list(dict.fromkeys(tags))


@extend_schema_field(ONE_OR_MANY)
class Studies(serializers.Field):
    """A slug of a study, or a list of them."""

    default_error_messages = {
        "wrong_type": "This must be the slug of a study or a list of slugs.",
        "invalid": "Slugs have letters, digits, - and _, and at most 64 of them.",
    }
    child = serializers.RegexField(SLUG_PATTERN, max_length=SLUG_LENGTH)

    def to_internal_value(self, data: object) -> tuple[str, ...]:
        """Check each slug."""
        slugs = [data] if isinstance(data, str) else data
        if not isinstance(slugs, list) or len(slugs) > MAX_STUDIES:
            self.fail("wrong_type")
        if not all(isinstance(slug, str) for slug in slugs):
            self.fail("wrong_type")
        return tuple(self.child.run_validation(slug) for slug in slugs)

    def to_representation(self, value: object) -> object:
        """Return it as it is."""
        return value


class RunChange(StrictSerializer):
    """What may be changed of a run; config, scale, summary and host are merged, key by key."""

    name = Text(max_length=NAME_LENGTH, required=False, allow_blank=True, allow_null=True)
    group = Text(max_length=NAME_LENGTH, required=False, allow_blank=True, allow_null=True)
    job_type = Text(max_length=NAME_LENGTH, required=False, allow_blank=True, allow_null=True)
    tags = Tags(required=False, allow_null=True)
    notes = Text(required=False, allow_blank=True, allow_null=True, trim_whitespace=False)
    config = Document(required=False, allow_null=True)
    scale = Scale(required=False, allow_null=True)
    summary = Document(required=False, allow_null=True, help_text="The user's own values.")
    host = Document(required=False, allow_null=True)
    archived = Flag(required=False, allow_null=True, help_text="Lists leave archived runs out.")
    study = Studies(required=False, allow_null=True)


class RunFinish(StrictSerializer):
    """How a run ended; with writer and last_seq, once that batch has arrived."""

    state = Choice([(state.value, state.label) for state in ENDS])
    exit_code = Integer(required=False, allow_null=True, min_value=-(2**31), max_value=2**31 - 1)
    reason = Text(max_length=NAME_LENGTH, required=False, allow_blank=True, allow_null=True)
    ended_at = EndTime(required=False, allow_null=True, help_text="Seconds since 1970.")
    writer = Uuid(required=False, allow_null=True)
    last_seq = Integer(required=False, allow_null=True, min_value=0, max_value=MAX_INTEGER)
    dropped = Integer(required=False, allow_null=True, min_value=0, max_value=MAX_INTEGER)


class BatchBody(StrictSerializer):
    """A batch of points; `metrics` maps a name to values, or to {steps, values, times}."""

    writer = Uuid(required=False, help_text="One a process; with seq the key of the batch.")
    seq = Integer(required=False, min_value=1, max_value=MAX_INTEGER)
    steps = serializers.ListField(child=Step(), required=False)
    metrics = serializers.DictField(required=False)
    times = serializers.ListField(child=Number(), required=False)
    points = serializers.ListField(child=serializers.DictField(), required=False)
    start_step = Step(required=False)
    rewind = Step(required=False)
    attempt_key = Text(max_length=NAME_LENGTH, required=False)


@extend_schema_field(BatchBody(many=True))
class Batches(serializers.ListField):
    """Batches that come with their run; runs.whole reads what stands in them."""

    child = Document()

    def __init__(self, **options: object) -> None:
        super().__init__(max_length=MAX_BATCHES, **options)


@extend_schema_field(RunFinish)
class Ending(Document):
    """The end of a run that comes with it."""


class RunOpen(RunChange):
    """A run to create or to resume."""

    request_id = Uuid()
    id = serializers.RegexField(UID_PATTERN)
    project = Text(max_length=SLUG_LENGTH, required=False, allow_null=True)
    resume = Choice([(name, name) for name in RESUME], required=False, allow_null=True)
    started_at = Number(required=False, allow_null=True, help_text="Seconds since 1970.")
    fork_from = Text(
        max_length=2 * UID_LENGTH,
        required=False,
        allow_null=True,
        help_text='"run_id?_step=n": a new run goes on from there; ignored where the run exists.',
    )
    batches = Batches(
        required=False, help_text="Stored with the run or not at all; each has writer and seq."
    )
    finish = Ending(required=False, help_text="The end of the run, once the batches are stored.")


class RunRewind(StrictSerializer):
    """Hide what was logged at `step` and after; `writer` goes on in the new attempt."""

    id = Uuid(help_text="Made by the client: the same id rewinds once.")
    step = Step()
    writer = Uuid(required=False, allow_null=True)


class NoFields(StrictSerializer):
    """An empty object."""


class BatchAnswer(serializers.Serializer):
    """What became of a batch; null in `overwritten` while a worker counts."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    overwritten = serializers.IntegerField(allow_null=True)
    last_seq = serializers.IntegerField(allow_null=True)


class OpenedRun(serializers.Serializer):
    """A run that was created or resumed."""

    id = serializers.CharField()
    project = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField()
    state = serializers.ChoiceField(RunState.choices)
    created = serializers.BooleanField()
    last_step = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    batches = BatchAnswer(many=True, required=False, help_text="Where the request has batches.")


class ListedRunDocument(serializers.Serializer):
    """A run as lists show it."""

    id = serializers.CharField()
    project = serializers.CharField()
    url = serializers.CharField()
    name = serializers.CharField()
    group = serializers.CharField()
    job_type = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    config = serializers.DictField()
    summary = serializers.DictField(help_text="Metric -> last, last_step, min, max, count, ...")
    user_summary = serializers.DictField()
    facts = serializers.DictField(help_text="Scale fact -> its sources, strongest first.")
    scale = serializers.DictField(help_text="Scale fact -> the number that counts.")
    flop_convention = serializers.CharField()
    state = serializers.ChoiceField(RunState.choices)
    outcome = serializers.ChoiceField(Outcome.choices)
    exit_code = serializers.IntegerField(allow_null=True)
    finish_reason = serializers.CharField()
    last_step = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    rev = serializers.IntegerField(help_text="Batches committed.")
    repeated = serializers.IntegerField()
    overwritten = serializers.IntegerField()
    dropped = serializers.IntegerField()
    clock_clamped = serializers.BooleanField()
    fork_step = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField(allow_null=True)
    heartbeat_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)


class AttemptDocument(serializers.Serializer):
    """An attempt after the first."""

    no = serializers.IntegerField()
    start_step = serializers.IntegerField()
    reason = serializers.CharField()


class RunDocument(ListedRunDocument):
    """All that is known of a run beside its points."""

    notes = serializers.CharField()
    outcome_evidence = serializers.DictField()
    host = serializers.DictField()
    parent = serializers.CharField(allow_null=True)
    doubts = serializers.ListField(child=serializers.CharField())
    attempts = AttemptDocument(many=True)


class StateDocument(serializers.Serializer):
    """The state of a run."""

    state = serializers.ChoiceField(RunState.choices)


class PurgeDocument(serializers.Serializer):
    """What is left of a run that is being erased."""

    is_asked = serializers.BooleanField()
    chunks = serializers.IntegerField()
    batches = serializers.IntegerField()


class CursorDocument(serializers.Serializer):
    """How far the batches of a writer and the visible steps of the run reach."""

    last_seq = serializers.IntegerField()
    last_step = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    state = serializers.ChoiceField(RunState.choices)


class RunsRevisionDocument(serializers.Serializer):
    """A text that changes when what it stands for does."""

    rev = serializers.CharField()
    parts = serializers.DictField(child=serializers.CharField())


class FieldDocument(serializers.Serializer):
    """A field as a filter writes it."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="number, text, time, config or metric.")
    values = serializers.ListField(child=serializers.CharField())


class FieldsDocument(serializers.Serializer):
    """What the runs of a project can be filtered, sorted and grouped by."""

    items = FieldDocument(many=True)
    total = serializers.IntegerField(help_text="Fields found; at most 1,000 are answered.")


class HistoryDocument(serializers.Serializer):
    """Every point of a run."""

    series = serializers.DictField(help_text="Metric -> steps, values, and what was asked for.")


class SeriesDocument(serializers.Serializer):
    """Curves on one grid of buckets (`m4`), or point by point (`raw`)."""

    method = serializers.ChoiceField([("m4", "m4"), ("raw", "raw")])
    rev = serializers.CharField()
    x_axis = serializers.CharField()
    x_scale = serializers.CharField()
    points_total = serializers.IntegerField()
    points_sent = serializers.IntegerField()
    lo = serializers.FloatField(required=False)
    hi = serializers.FloatField(required=False)
    buckets = serializers.IntegerField(required=False)
    x = serializers.ListField(child=serializers.FloatField(), required=False)
    series = serializers.DictField()
    without_x = serializers.ListField(child=serializers.CharField())
    groups = serializers.DictField(
        required=False, help_text="Group -> its runs, and how many count from which x."
    )
    bands = serializers.DictField(required=False, help_text="Group -> low, high, as y.")


MAX_NOTES_BYTES, MAX_TAGS = settings.MAX_NOTES_BYTES, settings.MAX_TAGS_PER_RUN
