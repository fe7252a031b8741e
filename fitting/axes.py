"""What is read as N, D, C, learning rate, ... of a run, and what splits runs into variants."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fitting.sizes import group_sizes
from scaledash.lib.units import parse_quantity

if TYPE_CHECKING:
    from fitting.rows import StudyRow

Config = Mapping[str, object]  # as index_config makes it
CONFIG_PREFIX = "config."
NOT_SET = "not set"
# Beyond these, products and log axes leave the range of float64; nothing measured lies there.
LARGEST, SMALLEST = 1e30, 1e-30
SCALE_FACTS = (
    "n_params",
    "n_params_non_embedding",
    "n_params_active",
    "n_tokens",
    "target_tokens",
    "flops",
    "tokens_per_step",
    "batch_tokens",
    "seq_len",
    "width",
    "depth",
    "peak_lr",
    "warmup_steps",
    "total_steps",
    "loss_at_init",
    "seed",
)
# The scale facts read for each axis where the study's mapping names none, best first.
DEFAULT_FACTS: dict[str, tuple[str, ...]] = {
    "n": ("n_params_non_embedding", "n_params"),
    "d": ("n_tokens", "target_tokens"),
    "c": ("flops",),
    "lr": ("peak_lr",),
    "batch": ("batch_tokens", "tokens_per_step"),
    "seed": ("seed",),
    "loss_at_init": ("loss_at_init",),
}
AXES = tuple(DEFAULT_FACTS)
AXIS_TITLES = {
    "n_params_non_embedding": "Parameters without embedding",
    "n_params": "Parameters",
    "n_params_active": "Active parameters",
    "width": "Width",
    "peak_lr": "Peak learning rate",
}
# Switches split the runs of one size; the numbers beside them only where runs would otherwise be
# taken for repeats of each other, because warm-up or weight decay may follow size and LR.
SWITCHES = ("qk_norm", "parametrization")
KNOBS = (
    "z_loss_coef",
    "weight_decay",
    "wd_mode",
    "adam_eps",
    "warmup_steps",
    "kappa",
    "optimizer",
    "schedule",
)
OFFERED_VARIANT_KEYS = (*SWITCHES, *KNOBS)


def choose_sources(
    mapping: Mapping[str, str], facts: Sequence[Mapping[str, object]]
) -> dict[str, str]:
    """Return what each axis is read from: the mapping's choice, else the fact most runs have."""
    chosen = {}
    for axis, candidates in DEFAULT_FACTS.items():
        counts = [sum(run[fact] is not None for run in facts) for fact in candidates]
        chosen[axis] = mapping.get(axis) or candidates[counts.index(max(counts))]
    return chosen


def read_axis(source: str, facts: Mapping[str, object], config: Config) -> float:
    """Return the value of one axis of one run, NaN where it is absent or no number."""
    value = facts.get(source) if source in SCALE_FACTS else find_config(config, source)
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        number = parse_quantity(value)
    except (ValueError, TypeError, AttributeError):
        return math.nan
    return number if abs(number) <= LARGEST else math.nan


def find_config(config: Config, key: str) -> object:
    """Return the value at a dotted path, or at the only path that ends in `key`, else None."""
    return config.get(_normalise(key.removeprefix(CONFIG_PREFIX)))


def index_config(config: Mapping[str, object]) -> Config:
    """Return the leaves of a nested config by dotted path, and by last component where unique.

    Keys match without case and with `-` as `_`.
    """
    leaves = dict(_walk(config, ""))
    lasts = Counter(path.rpartition(".")[2] for path in leaves)
    short = {path.rpartition(".")[2]: value for path, value in leaves.items()}
    return {**{last: value for last, value in short.items() if lasts[last] == 1}, **leaves}


def _walk(config: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        path = f"{prefix}{_normalise(key)}"
        if isinstance(value, Mapping):
            yield from _walk(value, f"{path}.")
        else:
            yield path, value


def _normalise(key: str) -> str:
    return key.casefold().replace("-", "_")


def format_value(value: object) -> str:
    """Write a config value the way it stands in a variant's label."""
    if value is None:
        return NOT_SET
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def guess_variant_keys(rows: Sequence[StudyRow]) -> tuple[str, ...]:
    """Return the offered keys that must split these runs, because they would mix otherwise."""
    return tuple(key for key in OFFERED_VARIANT_KEYS if _mixes(rows, key))


def _mixes(rows: Sequence[StudyRow], key: str) -> bool:
    placed = [row for row in rows if math.isfinite(row.n) and math.isfinite(row.lr)]
    size_of = group_sizes(row.n for row in placed)
    cells = defaultdict(set)
    for row in placed:
        cell = size_of[row.n] if key in SWITCHES else (row.n, row.lr)
        cells[cell].add(row.choices[key])
    return any(len(values) > 1 for values in cells.values())


def label_variants(rows: Sequence[StudyRow], keys: Sequence[str]) -> list[str]:
    """Return each run's variant label: the keys that vary among the runs, with their values."""
    varying = [key for key in keys if len({row.choices[key] for row in rows}) > 1]
    return [", ".join(f"{key}={row.choices[key]}" for key in varying) for row in rows]
