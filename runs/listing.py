"""Pages of a list of runs: which, in which order, and with which columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import msgspec
from django.db.models import BooleanField, F, Func, JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast

from runs.facts import COLUMNS
from runs.fields import find_field
from runs.filters import HIDE, Order, narrow, narrow_archived
from runs.models import Run
from runs.queries import HEAVY, LISTED, describe_listed, read_column
from teams.models import Project
from teams.principals import Principal

PLAIN = {"id": "uid", "project": "project__slug"}
KEYED = "keyed_cells"
MADE = {"url", "scale"}  # columns that are no column of the database
Document = dict[str, object]


@dataclass(frozen=True)
class Page:
    """Some runs of a list, and the cursor of the page after it, if there is one."""

    items: list[Document]
    following: str | None


def list_runs(
    principal: Principal, project: Project | None, query: Mapping[str, str], order: Order
) -> QuerySet[Run]:
    """Return the visible runs that the query's parameters select, in order.

    A project is one that the principal is known to see; naming it alone lets the index of its
    newest runs serve.
    """
    if project is None:
        runs = Run.objects.visible_to(principal)
    else:
        runs = Run.objects.filter(project=project, deleted_at=None)
    shown = narrow_archived(runs, query.get("archived") or HIDE)
    found = order.apply(narrow(shown, query))
    if query.get("cursor"):
        found = found.filter(order.after(query["cursor"]))
    return found


def read_page(runs: QuerySet[Run], order: Order, columns: Sequence[str], limit: int) -> Page:
    """Return the first runs of a list with what the columns name, with everything without any.

    Their ids are found first: sorted together with their keys, the configs of all runs of a
    project would be read for the sake of one page.
    """
    found = list(runs.values_list("pk", order.field)[: limit + 1])
    shown = found[:limit]
    following = order.write_cursor(*reversed(shown[-1])) if len(found) > limit else None
    ids = [pk for pk, _ in shown]
    page = Run.objects.filter(_is_among(ids))
    documents = _read_columns(page, columns) if columns else _read_all(page)
    return Page([documents[pk] for pk in ids if pk in documents], following)


def _is_among(ids: Sequence[int]) -> Func:
    """Return the condition of having one of these ids: one parameter, not one for each."""
    array = Value("{" + ",".join(map(str, ids)) + "}")
    options = {"template": "%(expressions)s::bigint[])", "arg_joiner": " = ANY("}
    return Func(F("pk"), array, output_field=BooleanField(), **options)


def _read_all(runs: QuerySet[Run]) -> dict[int, Document]:
    whole = runs.select_related("project").defer(*HEAVY, "project__description")
    return {run.pk: describe_listed(run) for run in whole}


def _read_columns(runs: QuerySet[Run], columns: Sequence[str]) -> dict[int, Document]:
    names = list(dict.fromkeys(["id", "project", *columns]))
    plain = [name for name in names if name in LISTED and name not in MADE]
    keyed = [name for name in names if name not in LISTED]
    rows = _read_keyed(runs, keyed).values_list(
        "pk", "uid", KEYED, *(PLAIN.get(name, name) for name in plain)
    )
    read = [*plain, *keyed]
    shown = [name for name in names if name in read]
    choose = itemgetter(*(read.index(name) for name in shown))
    found = {}
    for pk, uid, cells, *values in rows:
        document = dict(zip(shown, choose(values + msgspec.json.decode(cells)), strict=True))
        if document.get("name") == "":
            document["name"] = uid
        found[pk] = document
    _add_made(runs, found, [name for name in names if name in MADE])
    return found


def _read_keyed(runs: QuerySet[Run], names: Sequence[str]) -> QuerySet[Run]:
    """Return the runs with the JSON of some keys as one text: one to decode for each run."""
    values = [find_field(name, list).json for name in names]
    array = Func(*values, function="jsonb_build_array", output_field=JSONField())
    return runs.annotate(**{KEYED: Cast(array, TextField())})


def _add_made(runs: QuerySet[Run], found: dict[int, Document], names: Sequence[str]) -> None:
    if not names:
        return
    for run in runs.select_related("project").only("uid", "project__slug", *COLUMNS):
        if run.pk in found:
            found[run.pk] |= {name: read_column(run, name) for name in names}
