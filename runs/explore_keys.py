"""Colour, dash and facet of curves by any key: which values there are, and how each looks. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runs.columns import ABSENT
from runs.explore import NO_KEY, ExploreWish
from runs.facts import walk, write_fact
from runs.fields import CHOICE_COLUMNS, NUMBER_COLUMNS
from runs.groups import EXCEPT, group_runs
from runs.models import Run

BY_RUN = "run"
ALL_BUT = "!"  # "!seed": one value for the runs that are equal in all of config but the seed
MAX_CATEGORIES, MAX_DASHES, MAX_FACETS = 6, 4, 12
FEW_RUNS = 6  # that have a colour each where nothing else is asked for
LEGEND_LEVELS = 8
MAX_TEXT = 120
OTHER = "other values"
CONFIG = "config."
OWN_FIELDS = {**CHOICE_COLUMNS, "group": "group", "job_type": "job_type", "name": "name"}
Tone = dict[str, object]


@dataclass(frozen=True)
class Level:
    """One value of a key, how many runs have it, and what it looks like."""

    text: str
    n_runs: int
    tone: Tone = field(default_factory=dict)
    place: int = 0

    @property
    def tone_json(self) -> str:
        """Return the tone as the page's swatches carry it."""
        return json.dumps(self.tone)


@dataclass(frozen=True)
class Channel:
    """What one visual property says: the key, its levels, and the level of each run."""

    key: str = ""
    levels: tuple[Level, ...] = ()
    level_of: Mapping[str, int] = field(default_factory=dict)
    text_of: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def find(self, uid: str) -> Level | None:
        """Return the level of a run, None where nothing is told apart."""
        return self.levels[self.level_of[uid]] if self.levels else None


def read_values(runs: Sequence[Run], key: str) -> dict[str, object]:
    """Return the value of a key for each run: a scale fact, a field, a key of config, `!seed`."""
    if key.startswith(ALL_BUT):
        groups = group_runs(runs, EXCEPT + key.removeprefix(ALL_BUT))
        return {run.uid: label for label, members in groups.items() for run in members}
    if key == BY_RUN:
        return {run.uid: run.name or run.uid for run in runs}
    if key in NUMBER_COLUMNS or key in OWN_FIELDS:
        column = NUMBER_COLUMNS.get(key) or OWN_FIELDS[key]
        return {run.uid: getattr(run, column) for run in runs}
    path = key.removeprefix(CONFIG)
    return {run.uid: dict(walk(run.config)).get(path) for run in runs}


def choose_color(runs: Sequence[Run], wish: ExploreWish) -> str:
    """Return the key of the colour: few runs have one each, more are coloured by size."""
    if wish.color:
        return "" if wish.color == NO_KEY else wish.color
    if len(runs) <= FEW_RUNS and not wish.is_grouped:
        return BY_RUN
    return "n_params" if len({run.n_params for run in runs} - {None}) > 1 else ""


def make_colors(runs: Sequence[Run], key: str) -> Channel:
    """Colour by a key: numbers on the size scale, words in six colours."""
    if not key or not runs:
        return Channel()
    values = read_values(runs, key)
    known = {value for value in values.values() if value is not None}
    if key != BY_RUN and not key.startswith(ALL_BUT) and len(known) > 1 and all_numbers(known):
        return _color_numbers(values, key)
    is_own = key == BY_RUN or key.startswith(ALL_BUT)  # every curve is named in the table
    texts = {uid: write_key(value) for uid, value in values.items()}
    order = list(dict.fromkeys(texts.values())) if is_own else _order_by_count(texts)
    if is_own:
        tones: list[Tone] = [{"cat": place % MAX_CATEGORIES} for place in range(len(order))]
        note = _say_shared(len(order), key)
        return _make_channel(key, texts, order, tones, note)
    kept = order if len(order) <= MAX_CATEGORIES else order[: MAX_CATEGORIES - 1]
    tones = [{"cat": place} for place in range(len(kept))]
    note = _say_merged(key, len(order), len(kept), "coloured")
    return _make_channel(key, texts, kept, [*tones, {"role": "ink3"}], note)


def _color_numbers(values: Mapping[str, object], key: str) -> Channel:
    known = sorted({float(value) for value in values.values() if value is not None})
    scale = [math.log(value) for value in known] if known[0] > 0 else known
    width = scale[-1] - scale[0]
    tones: list[Tone] = [{"size": round((place - scale[0]) / width, 4)} for place in scale]
    texts = {uid: _write_number(key, value) for uid, value in values.items()}
    order = list(dict.fromkeys(_write_number(key, value) for value in known))
    shade = {_write_number(key, value): tone for value, tone in zip(known, tones, strict=True)}
    shown = [shade[text] for text in order]
    return _make_channel(key, texts, order, [*shown, {"role": "ink3"}], "")


def make_dashes(runs: Sequence[Run], key: str) -> Channel:
    """Dash by a key: four patterns, the last one for whatever is left."""
    if not key or not runs:
        return Channel()
    texts = {uid: write_key(value) for uid, value in read_values(runs, key).items()}
    order = _order(texts)
    kept = order if len(order) <= MAX_DASHES else order[: MAX_DASHES - 1]
    note = _say_merged(key, len(order), len(kept), "told apart by dashes")
    return _make_channel(key, texts, kept, [{}] * (len(kept) + 1), note)


def make_facets(runs: Sequence[Run], key: str) -> Channel:
    """Split a chart by a key: one for each value, twelve at most."""
    if not key or not runs:
        return Channel()
    texts = {uid: write_key(value) for uid, value in read_values(runs, key).items()}
    order = _order(texts)
    kept = order if len(order) <= MAX_FACETS else order[: MAX_FACETS - 1]
    note = _say_merged(key, len(order), len(kept), "given a chart of their own")
    return _make_channel(key, texts, kept, [{}] * (len(kept) + 1), note)


def _make_channel(
    key: str, texts: Mapping[str, str], kept: Sequence[str], tones: Sequence[Tone], note: str
) -> Channel:
    """Give each text its level; those that are not kept share the one after the last."""
    place_of = {text: place for place, text in enumerate(kept)}
    level_of = {uid: place_of.get(text, len(kept)) for uid, text in texts.items()}
    counts = Counter(level_of.values())
    names = [*kept, OTHER] if len(kept) in counts else list(kept)
    levels = tuple(
        Level(text[:MAX_TEXT], counts[place], tones[place], place)
        for place, text in enumerate(names)
    )
    return Channel(key, levels, level_of, texts, note)


def _order(texts: Mapping[str, str]) -> list[str]:
    """Order values as numbers where they are some, else by their text; absent ones last."""
    return sorted(set(texts.values()), key=lambda text: (text == ABSENT, _as_number(text), text))


def _order_by_count(texts: Mapping[str, str]) -> list[str]:
    """Order by value where there are few enough to show, else the most frequent first."""
    counts = Counter(texts.values())
    if len(counts) <= MAX_CATEGORIES:
        return _order(texts)
    return sorted(counts, key=lambda text: (text == ABSENT, -counts[text], text))


def _as_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(value) else value


def all_numbers(values: set[object]) -> bool:
    """Say whether all values are finite numbers, which True and False are not."""
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def _write_number(key: str, value: object) -> str:
    return ABSENT if value is None else write_fact(key, float(value), 4)


def write_key(value: object) -> str:
    """Write a value of a key as text."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:MAX_TEXT]


def _say_merged(key: str, total: int, kept: int, what: str) -> str:
    if total <= kept:
        return ""
    return f"{key} has {total:,} values; {kept} of them are {what}, the others share one."


def _say_shared(total: int, key: str) -> str:
    if total <= MAX_CATEGORIES:
        return ""
    noun = "runs" if key == BY_RUN else "groups"
    return f"{total:,} {noun} share {MAX_CATEGORIES} colours; hover a curve or a row to find it."
