"""Values as MLflow clients send them: 64-bit integers may be texts, numbers have three names more.

Fields that the protocol does not know are ignored: newer clients send more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runs.mlflow.errors import invalid
from runs.models import UID_LENGTH
from runs.validation import MAX_INTEGER, check_name, refuse_value
from scaledash.lib.jsonsafe import NON_FINITE

MAX_METRICS, MAX_PARAMS, MAX_TAGS = 1_000, 100, 100  # of one batch, as MLflow's own server
MAX_KEY_LENGTH = 250
MAX_PARAM_LENGTH = 6_000
MAX_TAG_LENGTH = 8_000
FLOAT_MAX = 1.7976931348623157e308  # what MLflow's stores hold for an infinity
MASK = "***"
SECRET = re.compile(
    r"(api_?key|secret|password|passwd|access_token|auth_token|hf_token|hub_token|authorization)$",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"-?[0-9]{1,19}")


class Fields:
    """The body or the query of a call, read field by field."""

    def __init__(self, source: object) -> None:
        if not isinstance(source, Mapping):
            raise invalid("Send a JSON object.")
        self.source = source

    def read_text(self, name: str, default: str | None = None, limit: int = 1_024) -> str:
        """Return a text; without a default it is required."""
        value = self.source.get(name)
        if value is None or (value == "" and default is None):
            if default is None:
                raise invalid(f"Missing value for required parameter '{name}'.")
            return default
        if not isinstance(value, str):
            raise invalid(f"{name} must be a string.")
        if len(value) > limit:
            raise invalid(f"{name} has {len(value):,} characters; at most {limit:,}.")
        return value

    def read_run_id(self) -> str:
        """Return the run's id, under its new or its old name."""
        name = "run_id" if self.source.get("run_id") else "run_uuid"
        if not self.source.get(name):
            raise invalid("Missing value for required parameter 'run_id'.")
        return self.read_text(name, limit=UID_LENGTH)

    def read_integer(self, name: str, default: int) -> int:
        """Return an integer, which may come as a text."""
        value = self.source.get(name)
        return default if value in (None, "") else read_integer(value, name)

    def read_limit(self, default: int, most: int) -> int:
        """Return how many results are wanted, as many as are given at once."""
        wanted = self.read_integer("max_results", default)
        if wanted < 1:
            raise invalid(f"max_results is {wanted}; it must be at least 1.")
        return min(wanted, most)

    def read_texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        value = self.source.getlist(name) if hasattr(self.source, "getlist") else None
        value = self.source.get(name) if value is None else value
        value = [] if value is None else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid(f"{name} must be a list of strings.")
        return value

    def read_items(self, name: str, limit: int) -> list[Mapping[str, object]]:
        """Return a list of objects."""
        value = self.source.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise invalid(f"{name} must be a list of objects.")
        if len(value) > limit:
            raise invalid(f"A batch has at most {limit:,} {name}; this one has {len(value):,}.")
        return value


@dataclass(frozen=True)
class Point:
    """One value of a metric; `millis` is when it was logged, since 1970."""

    name: str
    step: int
    millis: int
    value: float


def read_integer(value: object, name: str) -> int:
    """Return an integer; protocol buffers write those of 64 bits as texts."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INTEGER:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} is {str(value)[:40]!r}; it must be an integer.")
    if abs(value) > MAX_INTEGER:
        raise invalid(f"{name} is {value}; it must lie within 2^53 - 1.")
    return value


def read_point(item: Mapping[str, object]) -> Point:
    """Return a metric as it is logged."""
    key = item.get("key") or item.get("name")
    if not isinstance(key, str):
        raise invalid("Missing value for required parameter 'key'.")
    name = check_name(key, "/key")
    if item.get("timestamp") is None:
        raise invalid(f"Missing value for required parameter 'timestamp' of metric {name!r}.")
    step = item.get("step")
    step = 0 if step is None else read_integer(step, "step")
    if step < 0:
        raise invalid(f"Metric {name!r} has step {step}; steps begin at 0.")
    millis = read_integer(item["timestamp"], "timestamp")
    return Point(name, step, millis, read_value(item.get("value"), name))


def read_value(value: object, name: str) -> float:
    """Return a value; the largest floats are what MLflow stores for the infinities."""
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"Metric {name!r}: {refuse_value(value, '/value').message}")
    try:
        number = float(value)
    except OverflowError:
        raise invalid(f"Metric {name!r}: the value does not fit a 64-bit float.") from None
    if abs(number) >= FLOAT_MAX:
        return NON_FINITE["Infinity"] if number > 0 else NON_FINITE["-Infinity"]
    return number


def read_pairs(items: list[Mapping[str, object]], max_length: int) -> Iterator[tuple[str, str]]:
    """Return params or tags as pairs of texts."""
    for item in items:
        key, value = item.get("key"), item.get("value")
        if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_LENGTH:
            raise invalid(f"A key has 1 to {MAX_KEY_LENGTH} characters.")
        value = "" if value is None else value
        if not isinstance(value, str):
            raise invalid(f"The value of {key!r} must be a string.")
        if len(value) > max_length:
            raise invalid(f"{key!r} has {len(value):,} characters; at most {max_length:,}.")
        yield key, value


def read_params(items: list[Mapping[str, object]]) -> dict[str, str]:
    """Return params; what looks like a secret is masked, and none may change within a request."""
    found: dict[str, str] = {}
    for key, value in read_pairs(items, MAX_PARAM_LENGTH):
        value = MASK if SECRET.search(key.replace("-", "_")) else value
        if found.setdefault(key, value) != value:
            raise refuse_change(key, found[key], value)
    return found


def refuse_change(key: str, held: str, wanted: str) -> Exception:
    """Return MLflow's refusal of another value for a param."""
    return invalid(
        f"Changing param values is not allowed. Param {key!r} was already logged with value "
        f"{held[:100]!r}; the new one is {wanted[:100]!r}."
    )


def read_tags(items: list[Mapping[str, object]]) -> dict[str, str]:
    """Return tags; the last value of a key counts."""
    return dict(read_pairs(items, MAX_TAG_LENGTH))
