"""Which runs of a chart belong together: by a field, or by all of config but some keys. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from runs.facts import walk
from runs.models import Run
from scaledash.lib.names import CONFIG_KEYS, plain_key

EXCEPT = "except:"
MAX_LABEL = 120
OWN_FIELDS = ("group", "job_type", "state", "outcome")


def group_runs(runs: Sequence[Run], by: str) -> dict[str, list[Run]]:
    """Return label -> runs.

    `by` is `group`, `job_type`, `state`, `outcome`, `config.<key>`, or `except:<key>,<key>`: equal
    in every key of config but these. `except:seed` leaves out whatever names a seed, and the
    loss at initialisation, which follows from it.
    """
    if by.startswith(EXCEPT):
        return _group_by_rest(runs, by.removeprefix(EXCEPT).split(","))
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_read_label(run, by), []).append(run)
    return found


def _read_label(run: Run, by: str) -> str:
    if by in OWN_FIELDS:
        value: object = getattr(run, by)
    else:
        value = dict(walk(run.config)).get(by.removeprefix("config."))
    text = value if isinstance(value, str) else _write(value)
    return f"{by.removeprefix('config.')}={text}"[:MAX_LABEL]


def _group_by_rest(runs: Sequence[Run], names: Sequence[str]) -> dict[str, list[Run]]:
    """Group by what is left of config; labels say only what differs between groups."""
    ignored = {plain_key(name) for name in names}
    if "seed" in ignored:
        of_seed = (*CONFIG_KEYS["seed"], *CONFIG_KEYS["loss_at_init"])
        ignored |= {plain_key(key) for key in of_seed}
    rests = [_find_rest(run.config, ignored) for run in runs]
    varying = _find_varying(rests)
    found: dict[str, list[Run]] = {}
    for run, rest in zip(runs, rests, strict=True):
        parts = [f"{path}={rest.get(path, '-')}" for path in varying]
        found.setdefault(", ".join(parts) or "all", []).append(run)
    return {_shorten(label, place): runs for place, (label, runs) in enumerate(found.items(), 1)}


def _find_rest(config: Mapping[str, object], ignored: set[str]) -> dict[str, str]:
    return {path: _write(value) for path, value in walk(config) if plain_key(path) not in ignored}


def _find_varying(rests: Sequence[Mapping[str, str]]) -> list[str]:
    paths = sorted({path for rest in rests for path in rest})
    return [path for path in paths if len({rest.get(path) for rest in rests}) > 1]


def _shorten(label: str, place: int) -> str:
    return label if len(label) <= MAX_LABEL else f"{label[:MAX_LABEL]} ... ({place})"


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
