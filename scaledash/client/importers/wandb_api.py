"""W&B's server: every row of every run, by its own client package."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from scaledash.client.errors import UsageError
from scaledash.client.importers.dates import read_date
from scaledash.client.importers.model import Entry, Part, SourceRun, Tally, Unreadable
from scaledash.client.importers.wandb_file import convert_metadata
from scaledash.client.importers.wandb_rows import read_points

STATES = {"finished": "finished", "failed": "failed", "crashed": "crashed",
          "killed": "interrupted", "preempted": "interrupted"}  # fmt: skip
PAGE = 1_000
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, TRIES = 5.0, 300.0, 200  # a limit may last for hours


class WandbApi:
    """The runs of `entity/project`, or one run `entity/project/id`.

    Parameters
    ----------
    place : str
        Path at W&B.
    tally : Tally
        Takes what is left out and guessed.
    sleep : callable
        Waits while W&B answers 429.
    """

    kind = "wandb"

    def __init__(
        self, place: str, tally: Tally, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        try:
            import wandb
        except ImportError:
            raise UsageError(
                f"there is no file {place}, and W&B's API needs its package: pip install wandb"
            ) from None
        self._place = place.removeprefix("wandb:").strip("/")
        self._tally = tally
        self._sleep = sleep
        if self._place.count("/") not in (1, 2):
            raise UsageError(f"{place!r} is neither a file nor entity/project or entity/project/id")
        try:
            self._api: Any = wandb.Api(timeout=60)
        except Exception as error:  # no key, or one that W&B does not take
            raise UsageError(f"W&B's client: {error}") from error

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, oldest first, so that a later import goes on at the end."""
        if self._place.count("/") == 2:
            runs: Iterator[Any] = iter([self._patiently(lambda: self._api.run(self._place))])
        else:
            found = self._patiently(lambda: self._api.runs(self._place, order="+created_at"))
            runs = iter(found)
        while (run := self._patiently(lambda: next(runs, None))) is not None:
            try:
                yield self._make_run(run)
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                yield Unreadable(f"{getattr(run, 'id', '?')}: {error}")

    def _make_run(self, run: Any) -> SourceRun:
        axes = read_axes(getattr(run, "rawconfig", None) or {})

        def read() -> Iterable[Entry]:
            return read_points(self._scan(run), axes, self._tally)

        metadata = getattr(run, "metadata", None)
        return SourceRun(
            key=f"{run.project}/{run.id}",
            name=run.name or run.id,
            parts=[Part("api", read)],
            group=getattr(run, "group", "") or "",
            job_type=getattr(run, "job_type", "") or "",
            tags=list(getattr(run, "tags", None) or []),
            notes=getattr(run, "notes", "") or "",
            config={k: v for k, v in dict(run.config).items() if not str(k).startswith("_")},
            host=convert_metadata(metadata) if isinstance(metadata, dict) else {},
            link=str(getattr(run, "url", "") or ""),
            state=STATES.get(str(run.state)),
            started_at=_read_date(getattr(run, "created_at", None)),
            ended_at=_read_date(getattr(run, "heartbeatAt", None)),
        )

    def _scan(self, run: Any) -> Iterator[dict[str, object]]:
        """Yield every row: without keys, for with keys only rows that hold all of them come."""
        first = 0
        while True:
            rows = self._patiently(
                lambda first=first: list(  # type: ignore[misc]
                    run.scan_history(page_size=PAGE, min_step=first, max_step=first + PAGE)
                )
            )
            yield from rows
            first += PAGE
            if first > (getattr(run, "lastHistoryStep", None) or 0):
                return

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Ask W&B, and wait while it says that there were too many questions.

        Raises
        ------
        Unreadable
            It answers something else than what was asked for: absent, forbidden, unreachable.
        """
        wait = FIRST_WAIT_SECONDS
        for _ in range(TRIES):
            try:
                return ask()
            except Exception as error:
                if not _is_limit(error):
                    raise Unreadable(f"W&B: {error or type(error).__name__}") from error
            self._sleep(wait)
            wait = min(wait * 2, MAX_WAIT_SECONDS)
        raise Unreadable("W&B answers 429 for too long; import again later, it goes on from here")


def read_axes(rawconfig: dict[str, Any]) -> dict[str, str]:
    """Return metric -> step metric from what `define_metric` left in the run's config.

    W&B keeps a list of metrics in `_wandb.value.m`; "1" is the name (or "2" a pattern), "5" the
    place of the step metric in the list, from 1.
    """
    about = rawconfig.get("_wandb") or {}
    held = about.get("value", about) if isinstance(about, dict) else {}
    metrics = [item for item in held.get("m", []) if isinstance(item, dict)]
    names = [str(item.get("1") or item.get("2") or "") for item in metrics]
    axes = {}
    for name, item in zip(names, metrics, strict=True):
        place = item.get("5")
        axis = str(item.get("4") or "")
        if isinstance(place, int) and 0 < place <= len(names):
            axis = names[place - 1]
        if name and axis:
            axes[name] = axis
    return axes


def _is_limit(error: Exception) -> bool:
    found: object = error
    while isinstance(found, BaseException):
        status = getattr(getattr(found, "response", None), "status_code", None)
        if status == 429 or "429" in str(found)[:200]:
            return True
        found = getattr(found, "exc", None) or found.__cause__
    return False


def _read_date(value: object) -> float | None:
    return read_date(value) if isinstance(value, str) else None
