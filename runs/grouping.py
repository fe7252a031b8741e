"""Groups of the runs table: by some fields, or by all of config but the seed.

Every run that the filter leaves is in exactly one group; means are over all of its members.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Expression, F, Func, JSONField, QuerySet, TextField, Value
from django.db.models.functions import MD5, Cast

from runs.columns import (
    ABSENT,
    Cell,
    Column,
    LossNames,
    find_column,
    find_number,
    is_number,
    read_field,
    write_cell,
    write_plain,
)
from runs.facts import walk
from runs.fields import NUMBER_COLUMNS, UNKNOWN
from runs.models import Outcome, Run
from scaledash.lib.jsonsafe import NAN
from scaledash.lib.names import CONFIG_KEYS, plain_key

EXCEPT = "!"
MAX_KEYS = 8
SAMPLED_RUNS = 100  # the newest; their configs say where a key stands
REST_FACTS = (  # what was chosen for a run, and may stand outside its config
    *("n_params", "n_params_non_embedding", "target_tokens", "batch_tokens", "seq_len"),
    *("width", "depth", "peak_lr"),
)
MEASURED = "loss_at_init"  # differs from seed to seed, though it may stand in the config
Key = tuple[object, ...]


@dataclass(frozen=True)
class Grouping:
    """Fields that members of a group have in common; or, in `rest`, those that they need not."""

    columns: tuple[Column, ...] = ()
    ignored: tuple[str, ...] = ()

    @classmethod
    def read(cls, keys: Sequence[str]) -> Grouping | None:
        """Read `group,config.optimizer` or `!seed`; None where nothing is named."""
        excepted = [key.removeprefix(EXCEPT) for key in keys if key.startswith(EXCEPT)]
        if excepted:
            return cls(ignored=tuple(name for name in excepted if name)[:MAX_KEYS])
        found = [find_column(key) for key in dict.fromkeys(keys) if key != "tags"]
        columns = tuple(column for column in found if column is not None)[:MAX_KEYS]
        return cls(columns) if columns else None

    @property
    def keys(self) -> list[str]:
        """Return the grouping as the address holds it."""
        return [f"{EXCEPT}{name}" for name in self.ignored] or [c.key for c in self.columns]


@dataclass
class Spread:
    """What the members of a group have in a column."""

    n: int = 0
    mean: float | None = None
    low: Cell = None
    high: Cell = None
    n_nonfinite: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # of words with an order, the worst first


@dataclass
class Group:
    """Runs that belong together: their ids, and their cells as rows of `Members.width` values."""

    id: str
    key: Key
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    label: str = ""

    @property
    def runs(self) -> list[int]:
        """Return the ids of the members."""
        return [row[0] for row in self.rows]

    def count_states(self) -> Counter[str]:
        """Return how many members are in each state, and how many diverged."""
        states = Counter(str(row[1]) for row in self.rows)
        diverged = sum(row[2] == Outcome.DIVERGED for row in self.rows)
        return states + Counter({Outcome.DIVERGED: diverged})


@dataclass(frozen=True)
class Groups:
    """All groups of a table, and where the values of a column stand in their rows."""

    grouping: Grouping
    groups: list[Group]
    places: dict[str, tuple[int, int | None]]
    levels: dict[str, tuple[str, ...]]

    def measure(self, group: Group, key: str) -> Spread:
        """Return what the members of a group have in a column."""
        if key not in self.places:
            return Spread()
        place, text_place = self.places[key]
        values = [row[place] for row in group.rows]
        if text_place is not None:
            values = [
                _read_text(row[text_place]) if value is None else value
                for value, row in zip(values, group.rows, strict=True)
            ]
        return count_levels(values, self.levels[key]) if key in self.levels else measure(values)


def read_groups(
    runs: QuerySet[Run], grouping: Grouping, columns: Sequence[Column], names: LossNames
) -> Groups:
    """Return the groups of the runs in the order of their keys."""
    keys = {f"key_{place}": key for place, key in enumerate(_find_keys(runs, grouping, names))}
    cells, places = _find_cells(columns, names)
    wanted = runs.order_by("pk").annotate(**keys, **cells)
    found: dict[str, Group] = {}
    for row in wanted.values_list("pk", "state", "outcome", *cells, *keys).iterator(5_000):
        key = row[len(row) - len(keys) :]
        name = _name_group(key)
        if name not in found:
            found[name] = Group(name, key)
        found[name].rows.append(row)
    if grouping.ignored:
        ordered = sorted(found.values(), key=lambda group: group.rows[-1][0], reverse=True)
    else:
        ordered = sorted(found.values(), key=_natural_order)
    for group in ordered:
        group.label = _label(group, grouping)
    fields = {column.key: read_field(column, names) for column in columns if column.is_level}
    return Groups(grouping, ordered, places, {key: f.levels for key, f in fields.items() if f})


def _find_keys(runs: QuerySet[Run], grouping: Grouping, names: LossNames) -> list[Expression | F]:
    if grouping.ignored:
        return _find_rest(runs, grouping.ignored)
    fields = [read_field(column, names) for column in grouping.columns]
    return [
        find_number(column, names) if field is None else field.value
        for column, field in zip(grouping.columns, fields, strict=True)
    ]  # fmt: skip


def _find_rest(runs: QuerySet[Run], ignored: Iterable[str]) -> list[Expression | F]:
    """Return a digest of all of config but some keys, and the facts that may not be in it."""
    facts = _find_facts(ignored)
    rest: Expression | F = F("config")
    for path in sorted(_find_paths(runs, _find_plain(ignored))):
        removed = Value(list(path), output_field=ArrayField(TextField()))
        rest = Func(
            rest, removed, template="(%(expressions)s)", arg_joiner=" #- ", output_field=JSONField()
        )
    return [MD5(Cast(rest, TextField())), *(F(fact) for fact in REST_FACTS if fact not in facts)]


def _find_facts(ignored: Iterable[str]) -> set[str]:
    return {NUMBER_COLUMNS.get(name, name) for name in ignored}


def _find_plain(ignored: Iterable[str]) -> set[str]:
    """Return the last parts of the paths that are ignored; `!lr` means every name of the rate."""
    facts = _find_facts(ignored) | {MEASURED}
    names = [*ignored, *(key for fact in facts for key in CONFIG_KEYS.get(fact, ()))]
    return {plain_key(name) for name in names}


def _find_paths(runs: QuerySet[Run], plain: set[str]) -> set[tuple[str, ...]]:
    """Return the paths of config whose last part is one of these, as the newest runs have them."""
    newest = runs.order_by("-created_at", "-id")[:SAMPLED_RUNS]
    found: set[tuple[str, ...]] = {(name,) for name in plain}
    for config in newest.values_list("config", flat=True):
        paths = [path for path, _ in walk(config) if plain_key(path) in plain]
        found |= {(path,) for path in paths} | {tuple(path.split(".")) for path in paths}
    return found


def _find_cells(
    columns: Sequence[Column], names: LossNames
) -> tuple[dict[str, Expression | F], dict[str, tuple[int, int | None]]]:
    """Return what is read of every run, and where the columns' values stand in a row."""
    found: dict[str, Expression | F] = {}
    places: dict[str, tuple[int, int | None]] = {}
    first = 3  # after pk, state and outcome
    for column in columns:
        if column.key in ("name", "state", "tags"):
            continue
        place = first + len(found)
        field = read_field(column, names)
        is_plain = field is not None and field.json is None
        found[f"cell_{place}"] = field.value if is_plain else find_number(column, names)
        text = None if field is None else field.text
        if text is not None:
            found[f"cell_{place + 1}"] = text
        places[column.key] = (place, None if text is None else place + 1)
    return found, places


def _read_text(text: Cell) -> Cell:
    """Tell NaN, which no number of the database stands for, from other text."""
    return math.nan if text == NAN else text


def _name_group(key: Key) -> str:
    text = json.dumps(key, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _label(group: Group, grouping: Grouping) -> str:
    parts = []
    for column, value in zip(grouping.columns, group.key, strict=False):
        text = ABSENT if value is None or value == "" else write_cell(column, value) or str(value)
        parts.append(f"{column.label} = {text}")
    return ", ".join(parts)


def _natural_order(group: Group) -> list[tuple[int, float, str]]:
    found = []
    for value in group.key:
        found.append((0, float(value), "") if is_number(value) else (1, 0.0, str(value)))
    return found


def measure(values: Sequence[Cell]) -> Spread:
    """Return mean and range of the finite numbers, or the first and last text."""
    known = [value for value in values if value is not None and value != ""]
    numbers: list[float] = [value for value in known if is_number(value)]
    if known and len(numbers) == len(known):
        finite = [value for value in numbers if math.isfinite(value)]
        spread = Spread(n=len(finite), n_nonfinite=len(numbers) - len(finite))
        if finite:
            spread.mean = math.fsum(finite) / len(finite)
            spread.low, spread.high = min(finite), max(finite)
        return spread
    ordered = sorted(known, key=str)
    return Spread(n=len(known), low=ordered[0], high=ordered[-1]) if known else Spread()


def count_levels(values: Sequence[Cell], levels: Sequence[str]) -> Spread:
    """Return how many members are at each level, the worst first; `mean` orders groups by it."""
    found = Counter(str(value) for value in values if value is not None)
    counts = {level: found[level] for level in (*levels[::-1], UNKNOWN) if found[level]}
    known = [level for level in counts if level in levels]
    place = levels.index(known[0]) + counts[known[0]] / len(values) if known else None
    return Spread(n=sum(counts.values()), mean=place, counts=counts)


def sort_groups(groups: Groups, key: str, is_descending: bool) -> list[Group]:
    """Return the groups by the mean of a column, or its text; those without come last."""

    def find_place(group: Group) -> tuple[int, float, str]:
        spread = groups.measure(group, key)
        if spread.mean is not None:
            return (0, -spread.mean if is_descending else spread.mean, "")
        return (1, 0.0, str(spread.low)) if spread.low is not None else (2, 0.0, "")

    return sorted(groups.groups, key=find_place)


def label_rest(groups: Sequence[Group], ignored: Sequence[str]) -> None:
    """Label groups of all but some keys by what differs between them."""
    plain = _find_plain(ignored)
    firsts = [group.runs[0] for group in groups]
    fields = Run.objects.filter(pk__in=firsts).values("pk", "config", *REST_FACTS)
    rows = {row.pop("pk"): row for row in fields}
    configs = {pk: _list_rest(row.pop("config"), plain) for pk, row in rows.items()}
    names = _label_all(groups, configs)
    if len(set(names)) < len(names):  # what differs stands outside the config
        names = _label_all(groups, {pk: {**rows[pk], **configs[pk]} for pk in rows})
    for group, name in zip(groups, names, strict=True):
        group.label = name or "all"


def _list_rest(config: Mapping[str, object], plain: set[str]) -> dict[str, object]:
    return {path: value for path, value in walk(config) if plain_key(path) not in plain}


def _label_all(groups: Sequence[Group], rests: Mapping[int, Mapping[str, object]]) -> list[str]:
    """Return for each group the values of the fewest keys that tell all of them apart.

    Keys with the most values are dropped first: a width and a rate say more than the number of
    parameters that follows from them.
    """
    texts = [
        {path: _write(value) for path, value in rests.get(group.runs[0], {}).items()}
        for group in groups
    ]
    values: dict[str, set[str | None]] = {}
    for path in {path for rest in texts for path in rest}:
        values[path] = {rest.get(path) for rest in texts}
    kept = sorted(path for path in values if len(values[path]) > 1)
    n_told = _count_told(texts, kept)
    for path in sorted(kept, key=lambda path: (-len(values[path]), -len(path), path)):
        fewer = [other for other in kept if other != path]
        if _count_told(texts, fewer) == n_told:
            kept = fewer
    return [_join(rest, kept) for rest in texts]


def _join(rest: Mapping[str, str], paths: Sequence[str]) -> str:
    """Return what a group has under the paths that tell groups apart.

    What it lacks is said of no group that has any: a run with its framework's arguments would
    fill the labels of all others with "not set", and what others have tells them apart already.
    """
    held = [path for path in paths if rest.get(path, ABSENT) != ABSENT]
    return ", ".join(f"{path} = {rest.get(path, ABSENT)}" for path in held or paths)


def _count_told(texts: Sequence[Mapping[str, str]], paths: Sequence[str]) -> int:
    return len({tuple(rest.get(path) for path in paths) for rest in texts})


def _write(value: object) -> str:
    if value is None:
        return ABSENT
    return write_plain(value) if is_number(value) else json.dumps(value).strip('"')
