"""What the server is told of a run beside its points: bodies of create, change and finish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scaledash.client.stream import read_int

REQUIRED = frozenset({"request_id", "id", "project", "resume", "started_at"})
LEAST_NEEDED_FIRST = (
    *("host", "summary", "scale", "config", "study", "tags", "notes"),
    *("group", "job_type", "name", "fork_from"),
)
MERGED = ("config", "scale", "summary")


def build_create(
    init: Mapping[str, object], host: Mapping[str, object] | None
) -> dict[str, object]:
    """Return the body of POST /runs from the init record and the host facts, if known."""
    body = {name: value for name, value in init.items() if name not in ("t", "row", "n")}
    if host is not None:
        body["host"] = host.get("host", {})
    return {name: value for name, value in body.items() if value is not None or name == "resume"}


def take_leading(events: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return the records right behind init whose content the creation of the run can carry."""
    taken: list[Mapping[str, object]] = []
    for event in list(events)[1:]:
        change = event.get("body")
        is_plain = isinstance(change, dict) and set(change) <= {"config", "scale"}
        if event.get("t") != "host" and not is_plain:
            break
        taken.append(event)
    return taken


def build_change(events: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Merge patch and host records into the body of one PATCH; later values win."""
    body: dict[str, object] = {}
    for event in events:
        change = event.get("body") if event.get("t") == "patch" else {"host": event.get("host")}
        for name, value in (change if isinstance(change, dict) else {}).items():
            old = body.get(name)
            if name in MERGED and isinstance(old, dict) and isinstance(value, dict):
                body[name] = {**old, **value}
            else:
                body[name] = value
    return body


def build_finish(
    event: Mapping[str, object], dead: int, writer: str, last_seq: int
) -> dict[str, object]:
    """Return the body of POST /finish."""
    body: dict[str, object] = {
        "state": event.get("state", "crashed"),
        "exit_code": event.get("exit_code"),
        "dropped": read_int(dict(event), "dropped") + dead,
    }
    if event.get("reason"):
        body["reason"] = event["reason"]
    if last_seq:
        body |= {"writer": writer, "last_seq": last_seq}
    return body


def choose_strip(body: Mapping[str, object], pointer: str | None) -> str | None:
    """Return the JSON pointer of what to take out of a refused body; None when nothing is left.

    The part that the server named, if it may go; else the largest optional part. Nothing when the
    server named a part that must stay, such as the project: taking others out would not help.
    """
    if pointer and pointer.split("/")[1:2] and not _may_go(pointer):
        return None
    if pointer and pointer.split("/")[1:2] and _may_go(pointer) and _find(body, pointer)[0]:
        return pointer
    return next((f"/{name}" for name in LEAST_NEEDED_FIRST if name in body), None)


def strip(body: Mapping[str, object], pointer: str) -> dict[str, object]:
    """Return the body without the element at a JSON pointer."""
    copy = _copy(body)
    assert isinstance(copy, dict)
    found, parent, key = _find(copy, pointer)
    if found and isinstance(parent, dict):
        del parent[key]
    elif found and isinstance(parent, list):
        del parent[int(key)]
    return copy


def _may_go(pointer: str) -> bool:
    return pointer.split("/")[1] not in REQUIRED


def _find(body: object, pointer: str) -> tuple[bool, object, str]:
    """Return whether the element exists, what holds it, and under which key."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    parent: object = None
    for part in parts:
        parent = body
        if isinstance(parent, Mapping) and part in parent:
            body = parent[part]
        elif isinstance(parent, list) and part.isdecimal() and int(part) < len(parent):
            body = parent[int(part)]
        else:
            return False, None, ""
    return bool(parts), parent, parts[-1] if parts else ""


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
