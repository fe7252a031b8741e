"""Verdicts of a run and of the runs of a study, and a person's word on an outcome."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_refusals
from fitting.diagnoses.outcome import override_outcome, restore_outcome
from fitting.diagnoses.queries import (
    build_diagnoses,
    read_study_verdicts,
    read_verdicts,
    sort_counts,
)
from fitting.diagnoses.study import count_by_diagnostic
from runs.api.base import PROJECT, RunView
from runs.models import NAME_LENGTH
from teams.models import Role, Scope


class Diagnoses(serializers.Serializer):
    """The verdicts of a run; each holds severity, sentence, values, thresholds and evidence."""

    run = serializers.CharField()
    state = serializers.CharField()
    sentence = serializers.CharField()
    outcome = serializers.CharField()
    outcome_evidence = serializers.DictField()
    worst = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    summary = serializers.CharField()
    attempt = serializers.IntegerField(allow_null=True)
    rev = serializers.IntegerField(allow_null=True)
    computed_at = serializers.DateTimeField(allow_null=True)
    data_at = serializers.DateTimeField(allow_null=True)
    diagnoses = serializers.ListField(child=serializers.DictField())


class StudyDiagnoses(serializers.Serializer):
    """The verdicts of all runs of a study, and those on the runs together."""

    study = serializers.ListField(child=serializers.DictField())
    counts = serializers.DictField()
    runs = serializers.ListField(child=serializers.DictField())


class OutcomeWish(serializers.Serializer):
    """An outcome set by hand."""

    outcome = serializers.CharField(help_text="healthy or diverged")
    reason = serializers.CharField(max_length=NAME_LENGTH)


class OutcomeDocument(serializers.Serializer):
    """An outcome with its evidence."""

    outcome = serializers.CharField()
    outcome_evidence = serializers.DictField()


class RunDiagnoses(RunView):
    """The diagnoses of one run."""

    @extend_schema(operation_id="read_diagnoses", parameters=[PROJECT], responses=Diagnoses)
    def get(self, request: Request, uid: str) -> Response:
        """Read every verdict of a run, unknown ones included."""
        return Response(build_diagnoses(self.get_run(uid)))


class RunOutcome(RunView):
    """Whether a run counts as healthy or diverged."""

    scopes = {"PUT": Scope.WRITE, "DELETE": Scope.WRITE}

    @extend_schema(
        operation_id="override_outcome",
        parameters=[PROJECT],
        request=OutcomeWish,
        responses=OutcomeDocument,
    )
    def put(self, request: Request, uid: str) -> Response:
        """Set the outcome by hand; the reason is shown with it, and it stays."""
        run = self.get_run(uid, Role.EDITOR)
        body = OutcomeWish(data=request.data)
        body.is_valid(raise_exception=True)
        with answer_refusals():
            changed = override_outcome(run, request.user, **body.validated_data)
        return Response(_describe(changed))

    @extend_schema(operation_id="restore_outcome", parameters=[PROJECT], responses=OutcomeDocument)
    def delete(self, request: Request, uid: str) -> Response:
        """Take a hand-set outcome back; the next diagnosis judges again."""
        return Response(_describe(restore_outcome(self.get_run(uid, Role.EDITOR))))


class StudyRunDiagnoses(StudyView):
    """The diagnoses of a study's runs."""

    @extend_schema(operation_id="read_study_diagnoses", responses=StudyDiagnoses)
    def get(self, request: Request, study_id: int) -> Response:
        """Read the verdicts of all runs of a study, and how many runs each severity has."""
        study = self.get_study(study_id)
        rows = read_verdicts(study)
        document = {
            "study": read_study_verdicts(study),
            "counts": count_by_diagnostic(rows),
            "runs": [
                {
                    "run": row.run.uid,
                    "outcome": row.run.outcome,
                    "worst": row.worst,
                    "counts": sort_counts(row.counts),
                    "computed_at": row.computed_at,
                    "diagnoses": row.verdicts,
                }
                for row in rows
            ],
        }
        return Response(document)


def _describe(run: object) -> dict[str, object]:
    return {
        "outcome": run.outcome,
        "outcome_evidence": run.outcome_evidence,
    }
