"""Metric names to ids: in a short transaction of its own, before any batch holds a lock."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction

from runs import store
from teams.api.errors import ApiError, unprocessable

MAX_CACHED = 200_000
_ids: dict[tuple[int, str], int] = {}


def find_ids(project_id: int, run_id: int | None, names: Sequence[str]) -> dict[str, int]:
    """Return the id of each name; new names are added, as far as the run may have more.

    None stands for a run that is not made yet.

    Sorted, so that writers that start together never wait for each other in a circle.
    """
    cached = ((name, _ids.get((project_id, name))) for name in names)
    known = {name: metric_id for name, metric_id in cached if metric_id is not None}
    missing = sorted(set(names) - known.keys())
    if not missing:
        return known
    found = _read(project_id, missing)
    new = [name for name in missing if name not in found]
    if new:
        check_quota(run_id, names)
        with transaction.atomic():
            store.execute(store.ADD_METRICS, {"project": project_id, "names": new})
            found |= _read(project_id, new)
    transaction.on_commit(lambda: _remember(project_id, found))
    return known | found


def check_quota(run_id: int | None, names: Sequence[str]) -> None:
    """Refuse a batch that would give the run more metrics than it may have.

    None stands for a run that has no batch yet.
    """
    total = len(set(names)) if run_id is None else store.count_metrics(run_id, names)
    if total > settings.MAX_METRICS_PER_RUN:
        raise refuse_quota("metrics per run", settings.MAX_METRICS_PER_RUN, total, "/metrics")


def refuse_quota(what: str, limit: int, wanted: int, pointer: str) -> ApiError:
    """Return the refusal that names a limit."""
    message = f"At most {limit:,} {what}; this would make {wanted:,}."
    return unprocessable("quota", message, pointer)


def _read(project_id: int, names: Sequence[str]) -> dict[str, int]:
    return dict(store.fetch(store.FIND_METRICS, {"project": project_id, "names": list(names)}))


def _remember(project_id: int, found: dict[str, int]) -> None:
    if len(_ids) > MAX_CACHED:
        _ids.clear()
    _ids.update({(project_id, name): metric_id for name, metric_id in found.items()})
