"""Which curves the explorer draws: one for each run, or one for each group of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from runs.explore import ExploreWish
from runs.explore_keys import (
    Channel,
    Tone,
    choose_color,
    make_colors,
    make_dashes,
    make_facets,
)
from runs.models import Outcome, Run

EVERYTHING = "all runs"


@dataclass(frozen=True)
class Line:
    """One curve of every chart: what it is called, how it looks, which runs it stands for."""

    key: str
    label: str
    facet: int = 0
    tone: Tone = field(default_factory=dict)
    dash: int = 0
    runs: tuple[Run, ...] = ()

    @property
    def tone_json(self) -> str:
        """Return the tone as the page's swatches carry it."""
        return json.dumps(self.tone)

    @property
    def is_diverged(self) -> bool:
        """Say whether each of its runs diverged."""
        return all(run.outcome == Outcome.DIVERGED for run in self.runs)


@dataclass(frozen=True)
class Look:
    """The curves of all charts, and what their colours, dashes and facets say."""

    lines: tuple[Line, ...]
    color: Channel
    dash: Channel
    facet: Channel

    @property
    def facets(self) -> list[str]:
        """Return the titles of the charts of a metric; one without a name where nothing splits."""
        return [level.text for level in self.facet.levels] or [""]

    @property
    def notes(self) -> list[str]:
        """Return what the colours, dashes and facets could not tell apart."""
        return [part.note for part in (self.color, self.dash, self.facet) if part.note]


def build_look(runs: Sequence[Run], wish: ExploreWish) -> Look:
    """Choose colour, dash and facet of every run, and the curves that follow from them."""
    color = make_colors(runs, choose_color(runs, wish))
    dash = make_dashes(runs, wish.dash)
    facet = make_facets(runs, wish.facet)
    look = Look((), color, dash, facet)
    lines = _group(runs, look) if wish.is_grouped else [_draw(run, look) for run in runs]
    return Look(tuple(lines), color, dash, facet)


def _draw(run: Run, look: Look) -> Line:
    return _make_line(run.uid, run.name or run.uid, [run], look)


def _group(runs: Sequence[Run], look: Look) -> list[Line]:
    """Make one curve for the runs that agree in colour, dash and facet."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_name_group(run, look), []).append(run)
    return [
        _make_line(", ".join(name) or EVERYTHING, ", ".join(name) or EVERYTHING, members, look)
        for name, members in groups.items()
    ]


def _name_group(run: Run, look: Look) -> tuple[str, ...]:
    channels = {part.key: part for part in (look.color, look.dash, look.facet) if part.levels}
    return tuple(_name_value(part, run) for part in channels.values())


def _name_value(channel: Channel, run: Run) -> str:
    text = channel.text_of[run.uid]
    return text if channel.key.startswith("!") else f"{channel.key} {text}"


def _make_line(key: str, label: str, runs: Sequence[Run], look: Look) -> Line:
    uid = runs[0].uid
    color, dash, facet = look.color.find(uid), look.dash.find(uid), look.facet.find(uid)
    return Line(
        key=key,
        label=label,
        facet=facet.place if facet else 0,
        tone=color.tone if color else {"role": "accent"},
        dash=dash.place if dash else 0,
        runs=tuple(runs),
    )
