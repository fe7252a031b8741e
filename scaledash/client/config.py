"""`run.config` and `run.summary`: dicts that tell the run what changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from scaledash.client.jsonable import (
    MASK,
    describe_unreadable,
    is_secret,
    mask_text,
    read_config,
    to_json,
)

MAX_BYTES = 256 * 1024
PRIVATE = "_scaledash"  # what the client keeps in the config on its own account


class Listener(Protocol):
    """Takes the JSON form of what changed."""

    def __call__(self, changes: dict[str, object], /) -> None:
        """Take the changes."""


class Section(dict[str, Any]):
    """A nested part of the config, readable by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no key {name!r} here") from None


class Config(MutableMapping[str, Any]):
    """Configuration of a run: keys by item or attribute; every change is recorded.

    Parameters
    ----------
    listener : callable
        Called with the JSON form of changed top-level keys.
    on_change : callable
        Called with (key, old, new) when a key that has a value gets another one without
        `allow_val_change`; may raise when the run is strict.
    on_misuse : callable, optional
        Called with a sentence when keys cannot be read from what was given; may raise.
    """

    _values: dict[str, Any]

    def __init__(
        self,
        listener: Listener,
        on_change: Callable[[str, object, object], None],
        on_misuse: Callable[[str], object] = str,
    ) -> None:
        self.__dict__.update(_values={}, _sent={}, _listener=listener, _on_change=on_change)
        self.__dict__["_on_misuse"] = on_misuse

    def update(  # type: ignore[override]
        self, given: object = None, allow_val_change: bool | None = None, **more: object
    ) -> None:
        """Take the keys of a dict, Namespace, dataclass, pydantic model, OmegaConf or flags."""
        mapping = self._read(given)
        for key, value in {**mapping, **more}.items():
            self._set(str(key), value, bool(allow_val_change))
        self.send_changes()

    def setdefaults(self, given: object) -> None:
        """Take the keys that have no value yet."""
        mapping = self._read(given)
        self.update({key: value for key, value in mapping.items() if str(key) not in self._values})

    def as_dict(self) -> dict[str, Any]:
        """Return a plain copy."""
        return {key: _unwrap(value) for key, value in self._values.items()}

    def send_changes(self) -> None:
        """Report what differs from the last report, changes inside nested dicts included."""
        state = self.__dict__
        current = {
            mask_text(key): MASK if is_secret(key) else to_json(value)
            for key, value in self._values.items()
        }
        changes = {
            key: value
            for key, value in current.items()
            if key not in state["_sent"] or state["_sent"][key] != value
        }
        if changes:
            state["_sent"] = current
            state["_listener"](changes)

    def _read(self, given: object) -> Mapping[Any, object]:
        mapping = {} if given is None else read_config(given)
        if mapping is None:
            self.__dict__["_on_misuse"](describe_unreadable(given))
        return mapping or {}

    def _set(self, key: str, value: object, allow_change: bool) -> None:
        old = self._values.get(key)
        if key in self._values and not allow_change and _differs(old, value):
            self.__dict__["_on_change"](key, old, value)
        self._values[key] = _wrap(value)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: object) -> None:
        self._set(key, value, allow_change=False)
        self.send_changes()

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_values" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the config has no key {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (Config, self._values)  # a copy belongs to no run

    def __repr__(self) -> str:
        return f"Config({self.as_dict()!r})"


class Summary(MutableMapping[str, Any]):
    """The user's own summary values, then the last logged one of every metric.

    The server keeps last, min, max and count of every metric by itself.

    Parameters
    ----------
    listener : callable
        Called with the JSON form of changed keys.
    read_latest : callable, optional
        Returns the last logged value per metric.
    """

    def __init__(
        self, listener: Listener, read_latest: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self.__dict__.update(_values={}, _listener=listener, _read_latest=read_latest or dict)

    def update(self, given: Mapping[str, object] | None = None, **more: object) -> None:  # type: ignore[override]
        """Take the keys of a dict."""
        changed = {str(key): value for key, value in {**(given or {}), **more}.items()}
        self.__dict__["_values"].update(changed)
        sent = {mask_text(key): to_json(value) for key, value in changed.items()}
        self.__dict__["_listener"](sent)

    def as_dict(self) -> dict[str, Any]:
        """Return a plain copy."""
        return {**self.__dict__["_read_latest"](), **self.__dict__["_values"]}

    def __getitem__(self, key: str) -> Any:
        own = self.__dict__["_values"]
        return own[key] if key in own else self.__dict__["_read_latest"]()[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self.__dict__["_values"][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_values" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no key {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (Summary, self.as_dict())  # a copy belongs to no run

    def __repr__(self) -> str:
        return f"Summary({self.as_dict()!r})"


def cut_to_size(changes: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    """Leave out the largest keys until the JSON fits in 256 KiB; return the rest and the names."""
    sizes = {key: len(json.dumps({key: value})) for key, value in changes.items()}
    dropped: list[str] = []
    for key in sorted(sizes, key=lambda name: -sizes[name]):
        if sum(sizes.values()) <= MAX_BYTES:
            break
        del sizes[key]
        dropped.append(key)
    return {key: value for key, value in changes.items() if key in sizes}, dropped


def _restore(kind: type[Config] | type[Summary], values: dict[str, Any]) -> Config | Summary:
    def ignore(*changes: object) -> None:
        return None

    copy = Config(ignore, ignore) if kind is Config else Summary(ignore)
    copy.__dict__["_values"] = {key: _wrap(value) for key, value in values.items()}
    return copy


def _differs(old: object, new: object) -> bool:
    return bool(to_json(old) != to_json(new))


def _wrap(value: object) -> object:
    if isinstance(value, dict):
        return Section({str(key): _wrap(inner) for key, inner in value.items()})
    return value


def _unwrap(value: object) -> object:
    if isinstance(value, Section):
        return {key: _unwrap(inner) for key, inner in value.items()}
    return value
