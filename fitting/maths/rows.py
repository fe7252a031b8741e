"""The observations that a law is fitted to, and how it is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.digest import digest_columns
from fitting.maths.records import BoolArray, FloatArray, IntArray, Record

Columns = Mapping[str, FloatArray]
Params = Mapping[str, FloatArray]
Options = Mapping[str, object]


@dataclass(frozen=True)
class Rows:
    """The observations that a law is fitted to.

    Parameters
    ----------
    columns : role -> ndarray, shape (n,)
    target : ndarray, shape (n,), the quantity that the law predicts
    ids : identifier of each row, such as the run's
    groups : label of the budget, ladder, curve or problem of each row; empty where a law has none
    clusters : resampling unit of each row, such as the run of a checkpoint; empty = the row
    schedules : group -> learning rate of every step of that curve, where a law needs it
    """

    columns: Columns
    target: FloatArray
    ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    schedules: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Return the number of rows."""
        return int(self.target.size)

    def names(self) -> tuple[str, ...]:
        """Return the ids, or the place of each row where it has none."""
        return self.ids or tuple(f"row {place:06d}" for place in range(self.n))

    def take(self, where: BoolArray | IntArray) -> Rows:
        """Return the chosen rows in the order given."""
        places = np.flatnonzero(where) if where.dtype == np.bool_ else where

        def pick(labels: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(labels[place] for place in places) if labels else ()

        columns = {role: values[places] for role, values in self.columns.items()}
        return Rows(
            columns,
            self.target[places],
            pick(self.ids),
            pick(self.groups),
            pick(self.clusters),
            self.schedules,
        )

    def split_groups(self) -> dict[str, IntArray]:
        """Return the places of each group's rows, groups in order of their label."""
        labels = np.array(self.groups or ("",) * self.n)
        return {str(name): np.flatnonzero(labels == name) for name in np.unique(labels)}

    def digest(self) -> str:
        """Return the SHA-256 of target and inputs, ordered by id."""
        return digest_columns(self.names(), {**self.columns, "target": self.target})


@dataclass(frozen=True)
class Settings(Record):
    """How a law is fitted; stored with the result.

    Parameters
    ----------
    replicas : number of bootstrap replicas; 0 gives the point estimate alone
    seed : seed of every random step
    level : nominal coverage of the intervals
    options : options of the law that differ from its defaults
    hold_out : place of the rows to withhold: "largest_decade", "half_compute" or "none"
    hold_out_ids : rows to withhold instead of the rule
    x_max_factor : the curve is drawn to this multiple of the largest x
    """

    replicas: int = 1000
    seed: int = 0
    level: float = 0.95
    options: Options = field(default_factory=dict)
    hold_out: str = "largest_decade"
    hold_out_ids: tuple[str, ...] = ()
    x_max_factor: float = 10.0

    def with_options(self, **options: object) -> Settings:
        """Return a copy with some options changed."""
        return replace(self, options={**self.options, **options})
