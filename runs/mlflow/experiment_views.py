"""Calls about experiments."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from runs.mlflow import experiments
from runs.mlflow.base import MlflowView
from runs.mlflow.clauses import ATTRIBUTE, Clause, parse, parse_order
from runs.mlflow.errors import absent, invalid
from runs.mlflow.search import read_offset, write_token
from runs.mlflow.tags import NOTE
from teams.models import Role, Scope
from teams.queries import find_role
from teams.services import update_project

MAX_TAG = 5_000
ORDERS = {"name": "name", "experiment_id": "experiment_id", "creation_time": "creation_time",
          "last_update_time": "last_update_time"}  # fmt: skip


class CreateExperiment(MlflowView):
    """POST experiments/create."""

    scopes = {"POST": Scope.WRITE}

    def post(self, request: Request) -> Response:
        """Create a project, or name a group of runs."""
        name = self.fields.read_text("name")
        return Response({"experiment_id": experiments.create(self.principal, name).id})


class GetExperiment(MlflowView):
    """GET experiments/get; any token may, for it says no more than the token's own project."""

    scopes = {"GET": None}

    def get(self, request: Request) -> Response:
        """Read an experiment by its id."""
        text = self.fields.read_text("experiment_id", limit=2_000)
        found = experiments.find_by_id(self.principal, text)
        return Response({"experiment": experiments.describe(found)})


class GetExperimentByName(MlflowView):
    """GET experiments/get-by-name."""

    scopes = {"GET": None}

    def get(self, request: Request) -> Response:
        """Read an experiment by its name."""
        name = self.fields.read_text("experiment_name")
        found = experiments.find_by_name(self.principal, name)
        if found is None:
            raise absent(f"experiment {name[:100]!r}")
        return Response({"experiment": experiments.describe(found)})


class SearchExperiments(MlflowView):
    """GET and POST experiments/search."""

    scopes = {"GET": Scope.READ, "POST": Scope.READ}

    def get(self, request: Request) -> Response:
        """List experiments."""
        return self._search()

    def post(self, request: Request) -> Response:
        """List experiments."""
        return self._search()

    def _search(self) -> Response:
        fields = self.fields
        clauses = parse(fields.read_text("filter", ""))
        offset = read_offset(fields.read_text("page_token", ""))
        limit = fields.read_limit(settings.MAX_PAGE_SIZE, settings.MAX_PAGE_SIZE)
        if fields.read_text("view_type", "ACTIVE_ONLY") == "DELETED_ONLY":
            return Response({"experiments": []})
        found = [experiments.describe(e) for e in experiments.list_experiments(self.principal)]
        found = [item for item in found if all(_holds(clause, item) for clause in clauses)]
        for text in reversed(fields.read_texts("order_by")):
            name, is_descending = parse_order(text)
            if name.key not in ORDERS:
                raise invalid(f"Order by one of {', '.join(ORDERS)}, not {name.key[:40]!r}.")
            found.sort(key=lambda item, key=name.key: item[key], reverse=is_descending)
        answer: dict[str, object] = {"experiments": found[offset : offset + limit]}
        if len(found) > offset + limit:
            answer["next_page_token"] = write_token(offset + limit)
        return Response(answer)


class SetExperimentTag(MlflowView):
    """POST experiments/set-experiment-tag: the note is the project's description."""

    scopes = {"POST": Scope.WRITE}

    def post(self, request: Request) -> Response:
        """Keep the note, for admins; other tags of experiments have no place here."""
        fields = self.fields
        experiment = experiments.find_by_id(self.principal, fields.read_text("experiment_id"))
        key, value = fields.read_text("key"), fields.read_text("value", "", limit=MAX_TAG)
        if experiment.project is not None:
            self.require_role(experiment.project, Role.EDITOR)
            is_admin = find_role(self.principal, experiment.project) == Role.ADMIN
            if key == NOTE and is_admin and not experiment.group:
                update_project(experiment.project, description=value)
        return Response({})


def _holds(clause: Clause, item: dict[str, object]) -> bool:
    if clause.name.entity != ATTRIBUTE or clause.name.key not in ORDERS:
        raise invalid(f"Search experiments by {', '.join(ORDERS)}.")
    held = item[clause.name.key]
    if isinstance(held, int):
        return _compare_number(clause, held)
    text, operator = str(held), clause.operator
    if operator in ("LIKE", "ILIKE"):
        pattern = clause.values[0]
        is_folded = operator == "ILIKE"
        return matches(pattern.lower() if is_folded else pattern,
                       text.lower() if is_folded else text)  # fmt: skip
    if operator in ("=", "IN"):
        return text in clause.values
    if operator in ("!=", "NOT IN"):
        return text not in clause.values
    raise invalid(f"{clause.name.key} is text: use =, !=, LIKE, ILIKE, IN.")


def _compare_number(clause: Clause, held: int) -> bool:
    if not clause.is_number:
        raise invalid(f"{clause.name.key} is a number: compare it with one, without quotes.")
    wanted = float(clause.values[0])
    found = {"=": held == wanted, "!=": held != wanted, "<": held < wanted, "<=": held <= wanted,
             ">": held > wanted, ">=": held >= wanted}  # fmt: skip
    return found[clause.operator]


def matches(pattern: str, text: str) -> bool:
    """Say whether a text is like a pattern: % is any text, _ any character; in linear passes."""
    ends = [True] + [False] * len(text)  # ends[i]: the pattern so far matches text[:i]
    for char in pattern:
        if char == "%":
            first = ends.index(True) if True in ends else len(ends)
            ends = [place >= first for place in range(len(ends))]
            continue
        ends = [False] + [
            ends[place] and char in ("_", letter) for place, letter in enumerate(text)
        ]
    return ends[-1]
