"""Raw calls of the MLflow protocol, as its clients send them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.test import Client

from runs.models import Run
from teams.models import Project, Role, Scope, User
from tests.teams.factories import add_member, make_project, make_token, make_user

MILLIS = 1_763_800_000_000


@dataclass
class Mlflow:
    """A client of the protocol with a token."""

    token: str
    project: Project
    user: User

    def call(self, method: str, call: str, body: object = None, **query: object) -> object:
        url = f"/api/2.0/mlflow/{call}"
        url += f"?{urlencode(query, doseq=True)}" if query else ""
        client = Client(raise_request_exception=False)
        extra = {} if body is None else {"data": body, "content_type": "application/json"}
        headers = {"Authorization": f"Bearer {self.token}"}
        return getattr(client, method.lower())(url, headers=headers, **extra)

    def get(self, call: str, **query: object) -> dict[str, object]:
        answer = self.call("GET", call, None, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def post(self, call: str, **body: object) -> dict[str, object]:
        answer = self.call("POST", call, body)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def refuse(self, method: str, call: str, **values: object) -> tuple[int, str, str]:
        """Send what must be refused; returns status, error code and message."""
        body, query = (values, {}) if method == "POST" else (None, values)
        answer = self.call(method, call, body, **query)
        document = answer.json()
        assert set(document) == {"error_code", "message"}
        return answer.status_code, document["error_code"], document["message"]

    def start(self, **fields: object) -> str:
        """Begin a run; returns its id."""
        body = {"experiment_id": "0", "start_time": MILLIS, **fields}
        return self.post("runs/create", **body)["run"]["info"]["run_id"]

    def log(self, run_id: str, key: str, value: object, step: object = 0, at: int = MILLIS) -> None:
        body = {"key": key, "value": value, "step": step, "timestamp": at}
        self.post("runs/log-metric", run_id=run_id, **body)

    def read(self, run_id: str) -> dict[str, object]:
        return self.get("runs/get", run_id=run_id)["run"]

    def points(self, run_id: str, key: str) -> list[tuple[int, object]]:
        found = self.get("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
        return [(point["step"], point["value"]) for point in found]

    def search(self, text: str = "", **fields: object) -> list[str]:
        """Return the names of the runs that a search finds."""
        body = {"experiment_ids": ["0"], "filter": text, **fields}
        return [run["info"]["run_name"] for run in self.post("runs/search", **body)["runs"]]


def make_mlflow(scope: Scope = Scope.ADMIN, is_bound: bool = True) -> Mlflow:
    """Return a client of a project of its own; unbound, its token is that of a person."""
    project = make_project()
    user = add_member(project, make_user(), Role.ADMIN)
    return Mlflow(make_token(user, scope, project if is_bound else None), project, user)


def find_run(run_id: str) -> Run:
    return Run.objects.get(uid=run_id)
