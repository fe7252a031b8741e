"""Which analyses a study makes."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_refusals
from fitting.api.serializers import AnalysisSwitch, SwitchDocument
from fitting.queries import read_switched_off
from fitting.services import switch_analysis
from fitting.switches import describe_switch, describe_switches
from teams.api.fields import read_fields
from teams.models import Role, Scope, User


class Analyses(StudyView):
    """The analyses of a study."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(operation_id="list_analyses", responses=SwitchDocument(many=True))
    def get(self, request: Request, study_id: int) -> Response:
        """List every analysis, and who switched it off where it is not made."""
        return Response(describe_switches(read_switched_off(self.get_study(study_id))))

    @extend_schema(operation_id="switch_analysis", request=AnalysisSwitch, responses=SwitchDocument)
    def post(self, request: Request, study_id: int) -> Response:
        """Switch an analysis off, so that nothing is fitted for it, or on again."""
        study = self.get_study(study_id, Role.EDITOR)
        fields = read_fields(AnalysisSwitch, request.data)
        name = str(fields["analysis"])
        user = User.objects.get(pk=self.principal.user_id)
        with answer_refusals():
            switch_analysis(study, user, name, bool(fields["is_on"]))
        return Response(describe_switch(name, read_switched_off(study).get(name)))
