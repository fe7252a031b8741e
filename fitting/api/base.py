"""What the study endpoints share: finding a study, refusals as errors, ETags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rest_framework.request import Request
from rest_framework.response import Response

from fitting.models import Study
from fitting.queries import list_studies
from fitting.services import Refused
from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found
from teams.models import Role

CONFLICTS = {"slug_taken", "selected"}


class StudyView(ApiView):
    """A view of one study."""

    def get_study(self, study_id: int, role: Role = Role.VIEWER) -> Study:
        """Return the study if the principal has at least `role` in its project, else 404."""
        study = list_studies(self.principal).filter(pk=study_id).first()
        if study is None:
            raise not_found(f"study {study_id}")
        self.require_role(study.project, role)
        return study


@contextmanager
def answer_refusals() -> Iterator[None]:
    """Turn a refusal of the services into the documented error."""
    try:
        yield
    except Refused as refusal:
        status = 409 if refusal.code in CONFLICTS else 422
        raise ApiError(status, refusal.code, refusal.message, refusal.field) from refusal


def answer_tagged(request: Request, tag: str, build: Callable[[], object]) -> Response:
    """Answer 304 where the caller holds this version already, else the document with its ETag."""
    quoted = f'"{tag}"'
    headers = {"ETag": quoted, "Cache-Control": "private, no-cache"}
    if request.headers.get("If-None-Match") == quoted:
        return Response(status=304, headers=headers)
    return Response(build(), headers=headers)
