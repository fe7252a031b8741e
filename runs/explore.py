"""What the curves explorer is asked for: the keys of its address, each with its default. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runs.charts import X_AXES
from runs.smoothing import AGGREGATES, BANDS
from runs.step_metrics import AUTOMATIC, METRIC_AXIS
from scaledash.lib.urlstate import say_misread, split_list

KEYS = (
    *("m", "f", "color", "dash", "facet", "x", "xs", "ys", "xr", "sm", "agg", "area"),
    *("sel", "hl", "s", "p"),
)
MAX_METRICS = 24
MAX_SELECTED = 1_000
MAX_SMOOTHING = 0.999
NO_KEY = "-"
X_SCALES = ("lin", "log")
Y_SCALES = ("lin", "log", "sym")
AREAS = ("none", *BANDS)
PLAIN = ("none", *AGGREGATES)


@dataclass
class Reader:
    """Reads the keys of an address; what makes no sense becomes the default and a note."""

    query: Mapping[str, str]
    notes: list[str] = field(default_factory=list)

    def choose(self, key: str, choices: Sequence[str]) -> str:
        """Return one of the choices, the first where none is named."""
        text = self.query.get(key) or choices[0]
        if text in choices:
            return text
        self.note(key, text, f"one of {', '.join(filter(None, choices))}")
        return choices[0]

    def read_number(self, key: str, most: float) -> float:
        """Return a number from 0 to `most`, 0 where none is named."""
        text = self.query.get(key) or "0"
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if 0 <= value <= most:
            return value
        self.note(key, text, f"a number from 0 to {most:g}")
        return 0.0

    def read_window(self, key: str) -> tuple[float, float] | None:
        """Return two finite numbers, the lower one first; None where there are none."""
        text = self.query.get(key) or ""
        if not text:
            return None
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            low, high = math.nan, math.nan
        if -math.inf < low < high < math.inf:
            return low, high
        self.note(key, text, "two numbers with a comma, the lower one first")
        return None

    def read_axis(self) -> str:
        """Return the x axis: one of the five, metric:NAME, or what the scripts named."""
        text = self.query.get("x") or AUTOMATIC
        if text.startswith(METRIC_AXIS) and len(text) > len(METRIC_AXIS):
            return text
        return self.choose("x", (AUTOMATIC, *X_AXES))

    def read_list(self, key: str, most: int) -> tuple[str, ...]:
        """Return the distinct items of a list, not more than `most`."""
        items = tuple(dict.fromkeys(item for item in split_list(self.query.get(key, "")) if item))
        if len(items) > most:
            self.notes.append(f"{key} names {len(items):,} items; the first {most:,} count.")
        return items[:most]

    def read_facet(self) -> str:
        """Return the key that splits charts; the address may list several, one counts."""
        keys = [key for key in self.read_list("facet", 1) if key != NO_KEY]
        return keys[0] if keys else ""

    def note(self, key: str, text: str, wanted: str) -> None:
        """Remember that a value was not understood."""
        self.notes.append(say_misread(key, text, wanted))


@dataclass(frozen=True)
class ExploreWish:
    """Which runs and metrics, on which axes, drawn how."""

    filter: str = ""
    metrics: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()
    sort: str = ""
    draws_all: bool = False
    color: str = ""
    dash: str = ""
    facet: str = ""
    x_axis: str = AUTOMATIC
    x_scale: str = "lin"
    y_scale: str = "lin"
    window: tuple[float, float] | None = None
    smoothing: float = 0.0
    aggregate: str = "none"
    area: str = "none"
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: Mapping[str, str]) -> ExploreWish:
        """Read the keys of the page's address; unknown ones are ignored."""
        reader = Reader(query)
        aggregate = reader.choose("agg", PLAIN)
        return cls(
            filter=query.get("f", ""),
            metrics=reader.read_list("m", MAX_METRICS),
            selected=reader.read_list("sel", MAX_SELECTED),
            sort=query.get("s", ""),
            draws_all=reader.choose("p", ("", "1", "all")) == "all",
            color=query.get("color", ""),
            dash=_read_key(query, "dash"),
            facet=reader.read_facet(),
            x_axis=reader.read_axis(),
            x_scale=reader.choose("xs", X_SCALES),
            y_scale=reader.choose("ys", Y_SCALES),
            window=reader.read_window("xr"),
            smoothing=reader.read_number("sm", MAX_SMOOTHING),
            aggregate=aggregate,
            area=reader.choose("area", AREAS) if aggregate != PLAIN[0] else "none",
            notes=tuple(reader.notes),
        )

    @property
    def is_grouped(self) -> bool:
        """Say whether a curve stands for several runs."""
        return self.aggregate != PLAIN[0]


def _read_key(query: Mapping[str, str], name: str) -> str:
    key = query.get(name, "")
    return "" if key == NO_KEY else key
