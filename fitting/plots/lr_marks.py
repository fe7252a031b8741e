"""Where each run stands in the figure of loss against learning rate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from fitting.palette import DASHES, SYMBOLS, place_sizes
from fitting.results import LrSweepDoc, OptimumDoc, ScaleDoc, as_refusal, list_scales
from fitting.rows import StudyRow

Optimum = tuple[ScaleDoc, OptimumDoc]  # of a scale, with the scale
MIN_FOR_QUARTILES = 4
EXCESS, RELATIVE, LINEAR, LOG = "excess", "relative", "linear", "log"
TITLES = {
    EXCESS: "Loss above the best of its size, nats",
    RELATIVE: "Loss above the best of its size, %",
}


@dataclass(frozen=True)
class Scale:
    """How losses become heights: `y` is "log", "linear", "excess" or "relative"."""

    mode: str
    best: Mapping[tuple[str, float], float]  # lowest mean loss of each variant and size

    @property
    def is_log(self) -> bool:
        """Say whether the y axis is logarithmic."""
        return self.mode == LOG

    @property
    def is_absolute(self) -> bool:
        """Say whether the height is the loss itself."""
        return self.mode in (LOG, LINEAR)

    def place(self, series: tuple[str, float], loss: float) -> float:
        """Return the height of a loss of one series."""
        if self.is_absolute:
            return loss
        best = self.best.get(series, math.nan)
        if self.mode == EXCESS:
            return loss - best
        return 100 * (loss / best - 1) if best > 0 else math.nan

    @property
    def title(self) -> str:
        """Return the title of the y axis, with the unit."""
        return TITLES.get(self.mode, "Final loss, nats per token")


@dataclass(frozen=True)
class Mark:
    """One run as it is drawn: at its loss, at min(loss, L0), or on the upper edge."""

    row: StudyRow
    loss: float
    y: float
    is_clipped: bool

    @property
    def series(self) -> tuple[str, float]:
        """Return variant and size."""
        return self.row.variant, self.row.n


@dataclass(frozen=True)
class Picture:
    """What the figure is made of, before it becomes traces."""

    marks: list[Mark]
    scale: Scale
    limit: float  # the upper edge of the plot where marks are beyond it
    n_off_axis: int  # runs with a loss that the axis cannot hold, or with none to compare it to
    initial: float
    variants: list[str]
    sizes: dict[float, float]  # N -> u
    places: Mapping[str, int]  # of variants, among the dashes

    @property
    def top(self) -> float:
        """Return the height of the highest mark."""
        return max((mark.y for mark in self.marks if math.isfinite(mark.y)), default=1.0)

    def place(self, mark: Mark) -> float:
        """Return where a mark stands: on the upper edge where its height is not finite."""
        return mark.y if math.isfinite(mark.y) else self.top

    @property
    def n_clipped(self) -> int:
        """Return the number of runs beyond the upper edge."""
        return sum(mark.is_clipped for mark in self.marks)

    @property
    def is_initial_inside(self) -> bool:
        """Say whether the initial loss is near enough to the marks to be drawn as a line."""
        is_on_axis = self.scale.is_absolute and (self.initial > 0 or not self.scale.is_log)
        return is_on_axis and self.initial <= min(self.limit, 1.05 * self.top)

    @property
    def ordered(self) -> list[float]:
        """Return the places u of the sizes, smallest first."""
        return sorted(set(self.sizes.values()))

    def dash(self, variant: str) -> str:
        """Return the dash of a variant."""
        return DASHES[self.places[variant] % len(DASHES)]

    def symbol(self, n: float) -> str:
        """Return the marker of the size that n belongs to."""
        return SYMBOLS[self.ordered.index(self.sizes[n]) % len(SYMBOLS)]


def compose(
    rows: Sequence[StudyRow],
    mode: str,
    places: Mapping[str, int] | None = None,
    others: Iterable[float] = (),
) -> Picture:
    """Decide where each run stands; `places` of variants are those of their names if not given.

    `others` are sizes of the study that are not drawn: all share one scale of colours.
    """
    shown = [row for row in rows if not row.excluded and row.has_axes]
    with_height = [row for row in rows if row.is_drawn]
    healthy = [row for row in with_height if row.is_finished and not row.diverged]
    initial = [row.loss_at_init for row in shown if math.isfinite(row.loss_at_init)]
    scale = Scale(mode, find_best(healthy))
    heights = [scale.place((row.variant, row.n), row.loss) for row in healthy]
    limit = find_limit([height for height in heights if math.isfinite(height)])
    placed = [_place(row, scale, limit) for row in with_height]
    marks = [mark for mark in placed if mark is not None]
    variants = sorted({mark.row.variant for mark in marks})
    by_name = {variant: place for place, variant in enumerate(variants)}
    return Picture(
        marks=marks,
        scale=scale,
        limit=limit,
        n_off_axis=len(placed) - len(marks),
        initial=median(initial) if initial else math.nan,
        variants=variants,
        sizes=place_sizes([*(mark.row.n for mark in marks), *others]),
        places={**by_name, **(places or {})},
    )


def find_limit(heights: Sequence[float]) -> float:
    """Return Q3 + 3 IQR of the finished healthy runs: higher ones stand on the edge."""
    if len(heights) < MIN_FOR_QUARTILES:
        return math.inf
    low, _, high = quantiles(heights, n=4, method="inclusive")
    return high + 3 * (high - low)


def find_best(rows: Iterable[StudyRow]) -> dict[tuple[str, float], float]:
    """Return the lowest mean over seeds of each variant and size."""
    cells: dict[tuple[str, float, float], list[float]] = defaultdict(list)
    for row in rows:
        cells[row.variant, row.n, row.lr].append(row.loss)
    best: dict[tuple[str, float], float] = {}
    for (variant, n, _), losses in cells.items():
        mean = fmean(losses)
        best[variant, n] = min(mean, best.get((variant, n), math.inf))
    return best


def _place(row: StudyRow, scale: Scale, limit: float) -> Mark | None:
    """Return the mark of a run, or None where the axis cannot hold it."""
    capped = [value for value in (row.loss, row.loss_at_init) if math.isfinite(value)]
    loss = min(capped, default=math.inf) if row.diverged else row.loss
    height = scale.place((row.variant, row.n), loss)
    if math.isnan(height) or (scale.is_log and height <= 0):
        return None
    is_clipped = height > limit or not math.isfinite(height)
    return Mark(row, loss, min(height, limit), is_clipped)


def list_optima(result: LrSweepDoc | None, picture: Picture) -> list[Optimum]:
    """Return the scales of the fit that have an optimum inside their grid, with it."""
    found = []
    for scale in list_scales(result):
        optimum = scale["optimum"]
        is_shown = scale["scale"] in picture.sizes and scale["variant"] in picture.variants
        if is_shown and not as_refusal(optimum) and not optimum["censored"]:
            found.append((scale, optimum))
    return found
