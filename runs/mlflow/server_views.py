"""Calls about the server itself, about artifacts, and every call that there is not."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from runs.mlflow.base import Anonymous, MlflowView
from runs.mlflow.documents import describe_info
from runs.mlflow.errors import MlflowError
from teams.models import Scope

VERSION = "3.0.0"  # of the protocol that is spoken; before 3.4 no client sends spans


class Version(Anonymous, MlflowView):
    """GET /version."""

    def get(self, request: Request) -> HttpResponse:
        """Say which MLflow server this speaks as."""
        return HttpResponse(VERSION, content_type="text/plain")


class Health(Anonymous, MlflowView):
    """GET /health."""

    def get(self, request: Request) -> HttpResponse:
        """Say that the process is there; /readyz asks the database too."""
        return HttpResponse("OK", content_type="text/plain")


class ServerInfo(Anonymous, MlflowView):
    """GET /api/3.0/mlflow/server-info."""

    def get(self, request: Request) -> Response:
        """Say what the server can do."""
        return Response({"workspaces_enabled": False})


class ListArtifacts(MlflowView):
    """GET artifacts/list."""

    scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> Response:
        """List the artifacts of a run: none are stored."""
        run = self.get_named_run()
        info = describe_info(run, self.principal)
        return Response({"root_uri": info["artifact_uri"], "files": []})


class ListFolder(MlflowView):
    """GET of the folder of artifacts, where newer clients look instead."""

    scopes = {"GET": None}

    def get(self, request: Request) -> Response:
        """List a folder: none holds anything."""
        return Response({"files": []})


class Refused(Anonymous, MlflowView):
    """A path without a service, whatever the method."""

    def answer(self, request: Request, rest: str) -> Response:
        """Refuse."""
        raise NotImplementedError

    def get(self, request: Request, rest: str) -> Response:
        """Refuse."""
        return self.answer(request, rest)

    def post(self, request: Request, rest: str) -> Response:
        """Refuse."""
        return self.answer(request, rest)

    def put(self, request: Request, rest: str) -> Response:
        """Refuse."""
        return self.answer(request, rest)

    def patch(self, request: Request, rest: str) -> Response:
        """Refuse."""
        return self.answer(request, rest)

    def delete(self, request: Request, rest: str) -> Response:
        """Refuse."""
        return self.answer(request, rest)


class Artifacts(Refused):
    """Uploads and downloads of artifacts."""

    def answer(self, request: Request, rest: str) -> Response:
        """Say that there is no store for files."""
        message = (
            "ScaleDash stores metrics, params and tags, no files; keep artifacts elsewhere and "
            "log their address as a tag."
        )
        raise MlflowError(501, "NOT_IMPLEMENTED", message)


class Unknown(Refused):
    """A call of the protocol that this server does not speak."""

    def answer(self, request: Request, rest: str) -> Response:
        """Answer as MLflow's own server does, so that clients fall back."""
        message = f"There is no endpoint {rest[:100]!r}; docs/mlflow.md lists the calls."
        raise MlflowError(404, "ENDPOINT_NOT_FOUND", message)
