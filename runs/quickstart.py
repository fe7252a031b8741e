"""The page of the first minutes: three ways to log a first run, and whether it has arrived."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from django.urls import reverse
from django.utils import timezone

from runs.models import Run
from teams.models import ApiToken, Project, Role
from teams.principals import Principal
from teams.queries import find_role

PLACEHOLDER = "YOUR_TOKEN"
DEFAULT_PROJECT = "first-steps"
CLOCK_SLACK_SECONDS = 2.0  # between this server's clock and the database's
MAX_PROJECTS = 200

CLIENT = """\
import os

os.environ["SCALEDASH_URL"] = "{url}"
os.environ["SCALEDASH_TOKEN"] = "{token}"

import scaledash

config = {{"lr": 1e-3, "n_params": 1_200_000}}
run = scaledash.init(project="{project}", name="first run", config=config)
for step in range(100):
    run.log({{"train/loss": 4 / (step + 1) ** 0.3}}, step=step)
run.finish()
"""
SWEEP = """\
import math
import os

os.environ["SCALEDASH_URL"] = "{url}"
os.environ["SCALEDASH_TOKEN"] = "{token}"

import scaledash

for n_params in (100_000, 300_000, 1_000_000):
    for lr in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1):
        config = {{"n_params": n_params, "lr": lr}}
        name = f"{{n_params // 1000}}k-lr{{lr:g}}"
        run = scaledash.init(project="{project}", study="first-sweep", name=name, config=config)
        shrink = (n_params / 100_000) ** -0.3
        end = 2 + 2 * shrink + 0.08 * math.log(lr / 1e-2 / shrink) ** 2
        for step in range(1, 101):
            run.log({{"train/loss": end + 3 * math.exp(-step / 15)}}, step=step)
        run.finish()
"""
HTTP = """\
import json
import urllib.request
import uuid


def post(path, body):
    headers = {{"Authorization": "Bearer {token}", "Content-Type": "application/json"}}
    data = json.dumps(body).encode()
    request = urllib.request.Request("{url}/api/v1/" + path, data, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


run = uuid.uuid4().hex
config = {{"lr": 1e-3, "n_params": 1_200_000}}
post("runs", {{"project": "{project}", "id": run, "request_id": run, "config": config}})
points = [{{"step": step, "train/loss": 4 / (step + 1) ** 0.3}} for step in range(100)]
post(f"runs/{{run}}/metrics?project={project}", {{"points": points}})
post(f"runs/{{run}}/finish?project={project}", {{"state": "finished"}})
"""
CURL = """\
URL={url}
TOKEN={token}
RUN=curl-$(date +%s)
post() {{
  curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" "$URL/api/v1/$1" -d "$2"
}}
ID=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)
post runs '{{"project": "{project}", "id": "'$RUN'", "request_id": "'$ID'"}}'
post "runs/$RUN/metrics?project={project}" '{{"points": [
  {{"step": 1, "train/loss": 4.0}}, {{"step": 2, "train/loss": 3.2}}]}}'
post "runs/$RUN/finish?project={project}" '{{"state": "finished"}}'
"""


@dataclass(frozen=True)
class Snippet:
    """Lines to run: `program` says with what."""

    key: str
    title: str
    program: str
    text: str


def write_snippets(url: str, token: str, project: str) -> list[Snippet]:
    """Return the three ways to log a first run on this server, and how to log a study."""
    values = {"url": url, "token": token or PLACEHOLDER, "project": project}
    return [
        Snippet("client", "With the Python client", "python", CLIENT.format(**values)),
        Snippet("http", "Plain HTTP, standard library only", "python", HTTP.format(**values)),
        Snippet("curl", "With curl", "bash", CURL.format(**values)),
        Snippet("sweep", "A sweep becomes a study", "python", SWEEP.format(**values)),
    ]


def list_writable(principal: Principal) -> list[Project]:
    """Return the projects that the reader may log into."""
    visible = Project.objects.visible_to(principal).order_by("slug")[:MAX_PROJECTS]
    roles = [(project, find_role(principal, project)) for project in visible]
    return [project for project, role in roles if role and role.includes(Role.EDITOR)]


def _moment(since: float) -> datetime:
    return datetime.fromtimestamp(since - CLOCK_SLACK_SECONDS, UTC)


def find_arrival(principal: Principal, since: float) -> Run | None:
    """Return the newest run that the reader has logged points into since then."""
    mine = Run.objects.visible_to(principal).filter(created_by_id=principal.user_id)
    found = mine.filter(received_at__gt=_moment(since)).select_related("project")
    return found.order_by("-received_at").first()


def find_refused(principal: Principal, since: datetime) -> ApiToken | None:
    """Return the token of the reader's to which a request was refused last since then."""
    mine = ApiToken.objects.filter(user_id=principal.user_id, refused_at__gt=since)
    return mine.order_by("-refused_at").first()


def build_arrival(principal: Principal, since: float) -> dict[str, object]:
    """Return the document that the page polls: the run that arrived, what was refused after it."""
    run = find_arrival(principal, since)
    refused = find_refused(principal, run.received_at if run else _moment(since))
    state = f"{run.uid}.{run.rev}.{run.state}" if run else "0"
    return {
        "rev": f"{state}.{refused.refused_at.timestamp()}" if refused else state,
        "run": _describe_arrival(run) if run else None,
        "refusal": _describe_refusal(refused) if refused else None,
    }


def _describe_arrival(run: Run) -> dict[str, object]:
    return {
        "id": run.uid,
        "name": run.name or run.uid,
        "project": run.project.slug,
        "last_step": run.last_step,
        "state": run.state,
        "url": reverse("run", args=[run.project.slug, run.uid]),
    }


def _describe_refusal(token: ApiToken) -> dict[str, object]:
    return {
        "token": token.name,
        "code": token.refused_code,
        "message": token.refused_message,
        "at": token.refused_at,
    }


def read_since(text: str) -> float:
    """Return the moment of an address, seconds since 1970; now where it names none."""
    now = timezone.now().timestamp()
    try:
        value = float(text)
    except ValueError:
        return now
    return value if math.isfinite(value) and 0 <= value <= now else now
