"""How a run ends, as a request says it."""

from __future__ import annotations

from runs.api.serializers import RunFinish
from teams.api.fields import read_fields, read_inner


def read_ending(data: object, name: str = "") -> dict[str, object]:
    """Return a checked end, which stands under `name` of its body, or is the body."""
    found = read_inner(RunFinish, data, name) if name else read_fields(RunFinish, data)
    if found.get("writer") is not None:
        found["writer"] = str(found["writer"])
    return found
