"""The runs of a study and their exclusions."""

from __future__ import annotations

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_refusals
from fitting.api.serializers import (
    AddedDocument,
    ExclusionDocument,
    ExclusionSet,
    RunsAdd,
    StudyRunDocument,
)
from fitting.documents import describe_exclusion, describe_row
from fitting.models import Study, StudyRun
from fitting.queries import list_members, view_study
from fitting.services import add_runs, remove_run, set_exclusion
from runs.models import Run
from teams.api.errors import not_found, unprocessable
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.models import Role, Scope, User


class StudyRuns(StudyView):
    """The runs of a study."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="list_study_runs",
        parameters=PAGING_PARAMETERS,
        responses=page_of(StudyRunDocument),
    )
    def get(self, request: Request, study_id: int) -> Response:
        """List the runs as the study reads them: size, learning rate, final loss, variant."""
        study = self.get_study(study_id)
        rows = {row.run_id: row for row in view_study(study).rows.rows}
        members = list_members(study).filter(run__in=rows)

        def describe(member: StudyRun) -> dict[str, object]:
            return describe_row(rows[member.run_id])

        return Response(paginate(members, request, "pk", describe))

    @extend_schema(operation_id="add_study_runs", request=RunsAdd, responses=AddedDocument)
    def post(self, request: Request, study_id: int) -> Response:
        """Add runs by their ids; those that are in the study already stay."""
        study = self.get_study(study_id, Role.EDITOR)
        uids = cast(list[str], read_fields(RunsAdd, request.data)["runs"])
        runs = {run.uid: run for run in self._find_runs(study, uids)}
        missing = [place for place, uid in enumerate(uids) if uid not in runs]
        if missing:
            message = f"There is no run {uids[missing[0]]!r} in {study.project.slug}."
            raise unprocessable("unknown_value", message, f"/runs/{missing[0]}")
        return Response({"added": add_runs(study, runs.values())})

    def _find_runs(self, study: Study, uids: list[str]) -> list[Run]:
        visible = Run.objects.visible_to(self.principal)
        return list(visible.filter(project=study.project_id, uid__in=uids))


class OneStudyRun(StudyView):
    """One run of a study."""

    scopes = {"DELETE": Scope.WRITE}

    @extend_schema(operation_id="remove_study_run", responses={204: None})
    def delete(self, request: Request, study_id: int, uid: str) -> Response:
        """Take a run out of the study; the run itself stays."""
        study = self.get_study(study_id, Role.EDITOR)
        member = find_member(study, uid)
        with answer_refusals():
            remove_run(study, member.run)
        return Response(status=204)


class Exclusions(StudyView):
    """The runs that are left out of the fits, with reasons."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="list_exclusions",
        parameters=PAGING_PARAMETERS,
        responses=page_of(ExclusionDocument),
    )
    def get(self, request: Request, study_id: int) -> Response:
        """List the excluded runs: who left each out, when and why."""
        members = list_members(self.get_study(study_id)).filter(excluded=True)
        return Response(paginate(members, request, "pk", describe_exclusion))

    @extend_schema(operation_id="set_exclusion", request=ExclusionSet, responses=ExclusionDocument)
    def post(self, request: Request, study_id: int) -> Response:
        """Leave a run out with a reason, or take it in again; the fits follow."""
        study = self.get_study(study_id, Role.EDITOR)
        fields = read_fields(ExclusionSet, request.data)
        member = find_member(study, fields["run"])
        user = User.objects.get(pk=self.principal.user_id)
        set_exclusion(member, user, fields["excluded"], fields.get("reason", ""))
        return Response(describe_exclusion(member))


def find_member(study: Study, uid: str) -> StudyRun:
    """Return a run's place in the study, or answer 404."""
    member = list_members(study).filter(run__uid=uid).first()
    if member is None:
        raise not_found(f"run {uid!r}")
    return member
