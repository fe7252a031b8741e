"""Make JSON of whatever a training script puts into its config, with secrets masked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from scaledash.client.nonfinite import write_value

MAX_DEPTH = 6  # of a value inside the config; the server takes bodies of depth 8
MAX_REPR = 1_024
MAX_INTEGER = 10**300  # beyond it no 64-bit float can follow
MAX_ITEMS = 1_000
MASK = "***"
SECRET_KEY = re.compile(
    r"(api_?key|secret|password|passwd|access_token|auth_token|hf_token|hub_token|authorization)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"\b(sd_[A-Za-z0-9]+_[A-Za-z0-9_-]+|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|sk-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16})"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates
_URL_LOGIN = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,15}://)[^/\s@]{1,500}@")


def to_json(value: object, depth: int = 0) -> object:
    """Return a JSON value: numbers stay, non-finite ones become text, objects their repr.

    Parameters
    ----------
    value : object
        dict, Namespace, dataclass, pydantic model, OmegaConf, absl flags, list, scalar of any
        array library, or anything with a repr.
    depth : int
        How deep `value` stands already; below 6 everything is its repr.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < MAX_INTEGER else str(value)
    if isinstance(value, float):
        return write_value(float(value))
    if isinstance(value, str):
        return mask_text(value)
    mapping = to_mapping(value) if depth < MAX_DEPTH else None
    if mapping is not None:
        return {
            mask_text(str(key)): MASK if is_secret(str(key)) else to_json(inner, depth + 1)
            for key, inner in mapping.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)) and depth < MAX_DEPTH:
        return [to_json(inner, depth + 1) for inner in list(value)[:MAX_ITEMS]]
    return _convert_object(value, depth)


def to_mapping(value: object) -> Mapping[Any, object] | None:
    """Return the keys and values of a configuration object of any library, or None."""
    if isinstance(value, Mapping):
        return _read_items(value)
    if isinstance(value, (type, list, tuple, set, frozenset, str, bytes)):
        return None
    for name in ("model_dump", "flag_values_dict", "to_dict", "as_dict"):
        method = getattr(value, name, None)
        found = _call(method) if callable(method) else None
        if isinstance(found, Mapping):
            return found
    names = getattr(value, "__dataclass_fields__", None)
    if isinstance(names, Mapping):
        return {name: getattr(value, name, None) for name in names}
    if type(value).__name__ in ("Namespace", "SimpleNamespace") and hasattr(value, "__dict__"):
        return dict(vars(value))
    return None


def read_config(given: object) -> Mapping[Any, object] | None:
    """Return the keys of what a script hands over as its config, or None.

    Beside what `to_mapping` reads: pairs, the attributes of an object of the script's own, and the
    path of a JSON or YAML file, in which W&B's ``{key: {"value": x}}`` stands for ``{key: x}``.
    """
    found = to_mapping(given)
    if found is not None or given is None or isinstance(given, type):
        return found
    if isinstance(given, (str, os.PathLike)):
        return _read_file(given)
    if isinstance(given, (list, tuple)):
        pairs = _call(lambda: dict(given))
        return pairs if isinstance(pairs, dict) else None
    own = getattr(given, "__dict__", None)
    return {k: v for k, v in own.items() if not k.startswith("_")} if own else None


def describe_unreadable(given: object) -> str:
    """Return the sentence for what `read_config` cannot read."""
    shown = repr(given)[:80] if isinstance(given, (str, int, float)) else type(given).__name__
    return (
        f"config={shown} cannot be read; give a dict, a dataclass, a Namespace, or the path of a"
        " JSON or YAML file (YAML: pip install pyyaml)"
    )


def _read_items(mapping: Mapping[Any, object]) -> dict[Any, object]:
    """Copy a mapping; what one of another library cannot resolve, such as "???", is left out."""
    if isinstance(mapping, dict):
        return mapping
    found = {}
    for key in list(mapping):
        kept = _call(lambda key=key: (mapping[key],))  # type: ignore[misc]
        if isinstance(kept, tuple):
            found[key] = kept[0]
    return found


def _read_file(path: str | os.PathLike[str]) -> Mapping[Any, object] | None:
    def read() -> object:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            return json.loads(text)
        except ValueError:
            return import_module("yaml").safe_load(text)

    found = _call(read)
    if not isinstance(found, dict):
        return None
    is_written = all(isinstance(item, dict) and "value" in item for item in found.values())
    return {key: item["value"] for key, item in found.items()} if is_written else found


def is_secret(key: str) -> bool:
    """Say whether the last component of a config key names a secret."""
    return SECRET_KEY.search(key.replace("-", "_").rsplit(".", 1)[-1]) is not None


def mask_text(text: str) -> str:
    """Mask tokens of known shape and logins in URLs; what no store takes becomes _."""
    text = _UNSTORABLE.sub("_", text)
    return _URL_LOGIN.sub(r"\1***@", _SECRET_TEXT.sub(MASK, text))


def _convert_object(value: object, depth: int) -> object:
    size = getattr(value, "size", None)
    to_list = getattr(value, "tolist", None)
    if callable(to_list) and (not isinstance(size, int) or size <= MAX_ITEMS):
        found = _call(to_list)
        if isinstance(found, (bool, int, float, str, list)):
            return to_json(found, depth + 1)
    shown = _call(lambda: repr(value))
    text = shown if isinstance(shown, str) else f"<{type(value).__name__}>"
    if hasattr(value, "__fspath__"):
        text = str(value)
    return mask_text(text[:MAX_REPR])


def _call(function: Callable[[], object]) -> object:
    """Call another library's code; whatever it raises, the value is just not converted that way."""
    try:
        return function()
    except Exception:
        return None
