"""Plain functions that make runs and send batches, through HTTP as training jobs do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from itertools import count

from runs import store
from runs.models import Chunk, Run
from runs.settling import settle_run
from teams.models import Project, Role, Scope
from tests.teams.factories import Api, add_member, api_of, make_project, make_user

_numbers = count(1)


def make_api(project: Project | None = None, scope: Scope = Scope.ADMIN) -> Api:
    """Return a caller that is an admin of a project; `make_api().project` is its project."""
    project = project or make_project()
    api = api_of(add_member(project, make_user(), Role.ADMIN), scope, project)
    api.project = project
    return api


def open_run(api: Api, uid: str | None = None, **fields: object) -> Run:
    """Create a run through HTTP, or resume it."""
    uid = uid or f"r{next(_numbers)}"
    body = {"id": uid, "request_id": str(uuid.uuid4()), "project": api.project.slug, **fields}
    answer = api.post("runs", body)
    assert answer.status_code in (200, 201), answer.content
    return Run.objects.get(project=api.project, uid=uid)


class Job:
    """A process that logs into a run: it numbers its batches as the client does."""

    def __init__(self, api: Api, run: Run) -> None:
        self.api = api
        self.run = run
        self.writer = str(uuid.uuid4())
        self.seq = 0

    def send(self, body: dict[str, object], **headers: str) -> object:
        """Send a body as it is."""
        return self.api.post(f"runs/{self.run.uid}/metrics", body, **headers)

    def batch(self, steps: Sequence[int], **fields: object) -> dict[str, object]:
        """Return the next batch; `loss=[...]` is a metric, `metrics` all of them."""
        self.seq += 1
        options = {name: fields.pop(name) for name in list(fields) if name in OPTIONS}
        metrics = options.pop("metrics", fields)
        key = {"writer": self.writer, "seq": self.seq}
        return {**key, "steps": list(steps), "metrics": metrics, **options}

    def log(self, steps: Sequence[int], **fields: object) -> dict[str, object]:
        """Send the next batch and return the answer of the server, which must accept it."""
        answer = self.send(self.batch(steps, **fields))
        assert answer.status_code == 200, answer.content
        return answer.json()


OPTIONS = ("metrics", "times", "start_step", "rewind", "attempt_key")


def settle(run: Run) -> Run:
    """Recompute what ingest has flagged, as the sweeper does."""
    settle_run(run.pk)
    run.refresh_from_db()
    return run


def read_history(api: Api, run: Run, query: str = "") -> dict[str, dict[str, list]]:
    """Read the full histories of a run through HTTP."""
    answer = api.get(f"runs/{run.uid}/history?{query}")
    assert answer.status_code == 200
    return json.loads(b"".join(answer.streaming_content))["series"]


def count_rows(run: Run) -> tuple[int, int, int]:
    """Return what a refused batch must not change: chunks, stored points and revision."""
    chunks = Chunk.objects.filter(run=run)
    run.refresh_from_db()
    return chunks.count(), sum(chunks.values_list("n", flat=True)), run.rev


def read_series(run: Run, metric: str) -> tuple[list[int], list[float]]:
    """Return the visible points of a metric."""
    steps, values = store.read_series(run.pk, metric)
    return steps.tolist(), values.tolist()
