"""What every MLflow call shares: a token as Bearer or as the password of Basic, MLflow's errors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from rest_framework.request import Request

from runs.api.base import RunView
from runs.mlflow.errors import answer_error
from runs.mlflow.reading import Fields
from runs.models import Run
from runs.queries import find_held_role
from teams.api.auth import BearerOrSession
from teams.api.errors import not_found
from teams.models import Role
from teams.principals import Principal


class BearerOrBasic(BearerOrSession):
    """Take the token as Bearer, or as the password of Basic with any user name."""

    def _from_header(self, header: str, request: Request) -> tuple[object, Principal]:
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "basic":
            header = f"Bearer {read_password(credentials)}"
        return super()._from_header(header, request)


def read_password(credentials: str) -> str:
    """Return the password of Basic credentials, "" where they are none."""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text.partition(":")[2]


class Anonymous:
    """Mixed into a view that tells everybody the same."""

    authentication_classes = ()
    permission_classes = ()


class MlflowView(RunView):
    """A call of the protocol: for tokens only, and no part of our own API's document."""

    authentication_classes = (BearerOrBasic,)
    schema = None
    bearer_only = True

    def get_exception_handler(self) -> Callable[..., object]:
        """Answer errors in MLflow's shape."""
        return answer_error

    @property
    def fields(self) -> Fields:
        """Return the body of a POST, or the query of a GET."""
        request: Request = self.request
        return Fields(request.query_params if request.method == "GET" else request.data)

    def get_named_run(self, role: Role = Role.VIEWER, with_deleted: bool = False) -> Run:
        """Return the run of `run_id`; a deleted one is shown to admins only."""
        uid = self.fields.read_run_id()
        run = self.get_run(uid, role, with_deleted)
        if run.deleted_at is not None and find_held_role(self.principal, run) != Role.ADMIN:
            raise not_found(f"run {uid[:64]!r}")
        return run
