"""MLflow's tags on a run: some are columns or host facts here, all are read back as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings

from runs.mlflow.errors import invalid
from runs.mlflow.kept import KEY, read_document
from runs.models import NAME_LENGTH, Run

RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
RESERVED = "mlflow."
HOST_FACTS = {
    "mlflow.user": "user",
    "mlflow.source.name": "command",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.git.branch": "git_branch",
}
Changes = dict[str, Any]


def set_tags(run: Run, tags: Mapping[str, str]) -> Changes:
    """Return the changes of a run, as `edit_run` takes them, that set these tags."""
    changes: Changes = {}
    if RUN_NAME in tags:
        changes["name"] = tags[RUN_NAME][:NAME_LENGTH]
    if NOTE in tags:
        changes["notes"] = _check_note(tags[NOTE])
    held = read_tags(run)
    after = {**held, **{key: tags[key] for key in tags if key not in (RUN_NAME, NOTE)}}
    facts = {HOST_FACTS[key]: value for key, value in tags.items() if key in HOST_FACTS}
    return {**changes, **_keep(run, held, after, facts)}


def drop_tag(run: Run, key: str) -> Changes | None:
    """Return the changes that take a tag away; None where it is not there."""
    if key == NOTE and run.notes:
        return {"notes": ""}
    held = read_tags(run)
    if key not in held:
        return None
    after = {name: value for name, value in held.items() if name != key}
    return _keep(run, held, after, {})


def read_tags(run: Run) -> dict[str, str]:
    """Return the tags that are kept as they were sent."""
    return dict(read_document(run).get("tags") or {})


def describe_tags(run: Run) -> dict[str, str]:
    """Return all tags as an MLflow client reads them; a label of ours is a tag without a value."""
    kept = read_tags(run)
    shown = set(_label(kept))
    found = {label[:NAME_LENGTH]: "" for label in run.tags if label not in shown}
    found |= kept
    found[RUN_NAME] = run.name or run.uid
    if run.notes:
        found[NOTE] = run.notes
    return found


def _keep(
    run: Run, before: Mapping[str, str], after: Mapping[str, str], facts: Mapping[str, str]
) -> Changes:
    labels = set(_label(before))
    own = [tag for tag in run.tags if tag not in labels]
    found = list(dict.fromkeys([*own, *_label(after)]))
    document = {**read_document(run), "tags": dict(after)}
    return {"tags": found[: settings.MAX_TAGS_PER_RUN], "host": {**facts, KEY: document}}


def _label(tags: Mapping[str, str]) -> Iterator[str]:
    """Return the user's tags as the labels that lists show and filters find."""
    for key, value in tags.items():
        label = key if value.lower() in ("", "true") else f"{key}={value}"
        is_plain = label.isprintable() and len(label) <= NAME_LENGTH
        if is_plain and not key.startswith(RESERVED):
            yield label


def _check_note(text: str) -> str:
    size, limit = len(text.encode()), settings.MAX_NOTES_BYTES
    if size > limit:
        raise invalid(f"At most {limit:,} bytes of notes per run; these are {size:,}.")
    return text
