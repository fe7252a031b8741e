"""What the runs of a project can be filtered, sorted and grouped by, with values to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import QuerySet

from runs import fields
from runs.columns import name_field
from runs.conditions import CHOICES
from runs.facts import walk
from runs.fields import CHOICE_COLUMNS, NUMBER_COLUMNS, STATISTICS, TEXT_COLUMNS, TIME_COLUMNS
from runs.models import Metric, Run

SAMPLED_RUNS = 300  # the newest; their configs are read to find the keys
MAX_VALUES = 12
MAX_VALUE_LENGTH = 40
MAX_ITEMS = 1_000
NUMBER, TEXT, TIME, CONFIG, METRIC = "number", "text", "time", "config", "metric"
OTHERS = (("loss", NUMBER), ("tag", TEXT), ("age", TIME))


@dataclass
class FieldName:
    """A field as a filter writes it; values are the ones seen, where they are few."""

    name: str
    kind: str
    values: list[str] = field(default_factory=list)


def list_fields(runs: QuerySet[Run], search: str = "") -> tuple[list[FieldName], int]:
    """Return the fields whose name holds some text, names that begin with it first; and how many.

    Keys of config and tags are those of the newest runs.
    """
    wanted = search.casefold()
    found = [item for item in _list_all(runs) if wanted in item.name.casefold()]
    if wanted:
        found.sort(key=lambda item: (not _begins(item.name, wanted), len(item.name)))
    return found[:MAX_ITEMS], len(found)


def _begins(name: str, wanted: str) -> bool:
    folded = name.casefold()
    return folded.startswith(wanted) or folded.partition(".")[2].startswith(wanted)


def _list_all(runs: QuerySet[Run]) -> Iterator[FieldName]:
    newest = runs.order_by("-created_at", "-id")[:SAMPLED_RUNS]
    configs, tags, groups = [], [], []
    for config, some, group in newest.values_list("config", "tags", "group"):
        configs.append(config)
        tags.extend(some)
        groups.append(group)
    seen = {
        **{name: list(values) for name, values in CHOICES.items()},
        "tag": _list_few(tags),
        "group": _list_few(filter(None, groups)),
    }
    for name, kind in _list_plain():
        yield FieldName(name, kind, seen.get(name, []))
    for name, offered in fields.OFFERED.items():
        words = [*offered.levels, fields.UNKNOWN] if offered.levels else []
        yield FieldName(name, TEXT if words else NUMBER, words)
    for path, values in _collect(configs).items():
        yield FieldName(name_field("config", path), CONFIG, _list_few(values))
    for metric in list_metrics(runs):
        name = name_field("summary", metric)
        yield FieldName(name, METRIC)
        if name.endswith(metric):  # not quoted: a statistic may follow
            yield from (FieldName(f"{name}.{part}", METRIC) for part in STATISTICS[1:3])


def _list_plain() -> Iterator[tuple[str, str]]:
    yield from OTHERS
    for kind, names in (
        (NUMBER, NUMBER_COLUMNS),
        (TEXT, CHOICE_COLUMNS),
        (TEXT, TEXT_COLUMNS),
        (TIME, TIME_COLUMNS),
    ):
        yield from ((name, kind) for name in names)


def list_metrics(runs: QuerySet[Run]) -> list[str]:
    """Return the names of the metrics of the runs' projects."""
    projects = runs.order_by().values("project")
    found = Metric.objects.filter(project__in=projects)
    return list(found.order_by("name").values_list("name", flat=True))


def _collect(configs: Iterable[Mapping[str, object]]) -> dict[str, set[str]]:
    """Return the paths of all configs, in order, each with its values as text."""
    found: dict[str, set[str]] = {}
    for config in configs:
        for path, value in walk(config):
            values = found.setdefault(path, set())
            if len(values) <= MAX_VALUES:
                values.add(_write(value))
    return dict(sorted(found.items()))


def _write(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _list_few(values: Iterable[str]) -> list[str]:
    """Return distinct values, none where they are too many or too long to choose from."""
    found = set(values)
    if len(found) > MAX_VALUES or any(len(value) > MAX_VALUE_LENGTH for value in found):
        return []
    return sorted(found)
