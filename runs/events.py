"""What happened to a run, by step: attempts, values that are not finite, divergence, the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from runs.facts import PRIVATE
from runs.models import Outcome, Run
from runs.signals import run_shown
from teams.comments import excerpt, list_pointing

MAX_EVENTS = 60
MAX_TEXT, MAX_TRACEBACK = 400, 8_192
MARKS = ("diverged", "healthy", "note", "phase", "checkpoint")  # what run.mark() takes
T = TypeVar("T", list, str)
WORDS = {"resume": "resumed", "rewind": "rewound"}
Event = dict[str, Any]


def list_events(run: Run) -> list[Event]:
    """Return what the run itself tells of, in the order of steps."""
    found = (_list_attempts, _list_marks, _list_nonfinite, _list_ends)
    return sort_events(event for list_some in found for event in list_some(run))


def list_remarks(run: Run, is_shared: bool = False) -> list[Event]:
    """Return what members wrote about steps of the run's curves, which the charts mark there.

    A share link has no comment to lead to: there the text stands alone.
    """
    return [
        make_event(
            comment.step,
            "note",
            f"{comment.author.username if comment.author else 'a former member'}: "
            f"{excerpt(comment)}",
            metrics=[comment.metric] if comment.metric else [],
            is_drawn=True,
            **({} if is_shared else {"anchor": f"comment-{comment.pk}"}),
        )
        for comment in list_pointing(run.project, "run", run.pk)
    ]


def collect_marks(panels: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Return what other apps mark on the curves, from the panels that they put on the page."""
    return [mark for panel in panels for mark in panel.get("marks", ())]


def collect_panels(run: Run, is_shared: bool = False) -> list[dict[str, Any]]:
    """Return the panels that other apps put on the page of a run."""
    answers = run_shown.send(sender=Run, run=run, is_shared=is_shared)
    return [panel for _, panel in answers if panel]


def sort_events(events: Iterable[Event]) -> list[Event]:
    """Return events by step; those without a step come last."""
    return sorted(events, key=lambda event: (event["step"] is None, event["step"] or 0))


def build_marks(events: Iterable[Event]) -> list[Event]:
    """Return what the charts draw at its step; a mark without metrics belongs to all of them."""
    kept = [event for event in events if event["step"] is not None and event["is_drawn"]]
    return [{key: event[key] for key in ("step", "tone", "text", "metrics")} for event in kept]


def make_event(step: int | None, tone: str, text: str, **more: object) -> Event:
    """Return an event; `tone` is a severity or the name of a pill."""
    return {"step": step, "tone": tone, "text": text, "metrics": [], "is_drawn": False, **more}


def _list_attempts(run: Run) -> Iterator[Event]:
    for attempt in run.attempts.order_by("no"):
        verb = WORDS[attempt.reason]
        text = f"{verb} at step {attempt.start_step:,}: attempt {attempt.no + 1}"
        at = attempt.created_at
        yield make_event(attempt.start_step, verb, text, at=at, is_drawn=True)


def _list_marks(run: Run) -> Iterator[Event]:
    """Tell of what the training script marked with `run.mark()`."""
    for mark in _read_private(run, "marks", list)[-MAX_EVENTS:]:
        known = mark if isinstance(mark, Mapping) else {}
        kind, step = known.get("kind"), known.get("step")
        if kind in MARKS and isinstance(step, int) and not isinstance(step, bool):
            text = str(known.get("reason") or f"marked {kind}")[:MAX_TEXT]
            yield make_event(step, str(kind), text, is_drawn=True)


def read_traceback(run: Run) -> str:
    """Return the end of the traceback that ended the run, "" where the script kept none."""
    return _read_private(run, "traceback", str)[-MAX_TRACEBACK:]


def _read_private(run: Run, name: str, kind: type[T]) -> T:
    kept = run.config.get(PRIVATE)
    value = kept.get(name) if isinstance(kept, Mapping) else None
    return value if isinstance(value, kind) else kind()


def _list_nonfinite(run: Run) -> Iterator[Event]:
    for name, entry in run.summary.items():
        if entry.get("nonfinite"):
            kind = entry["first_nonfinite"]
            step = entry["first_nonfinite_step"]
            yield make_event(step, "nonfinite", f"{name} is {kind} for the first time")


def _list_ends(run: Run) -> Iterator[Event]:
    evidence = run.outcome_evidence
    step = evidence.get("step")
    if run.outcome == Outcome.DIVERGED:
        text = evidence.get("sentence") or f"{evidence.get('metric', 'the loss')} diverged"
        yield make_event(step if isinstance(step, int) else None, "diverged", str(text))
    if run.ended_at is not None:
        text = f"{run.state}{f': {run.finish_reason}' if run.finish_reason else ''}"
        yield make_event(run.last_step, run.state, text, at=run.ended_at)
