"""Scale facts of imported runs: named by the user, or read out of a name by the user's pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scaledash.client.errors import UsageError
from scaledash.client.frames import flatten

# What the server will recognise in a config by itself (its last component): only to show it.
RECOGNISED: Mapping[str, tuple[str, ...]] = {
    "n_params": ("n_params", "num_params", "num_parameters", "total_params"),
    "n_params_non_embedding": ("n_params_non_embedding", "non_embedding_params"),
    "target_tokens": ("target_tokens", "max_tokens", "train_tokens"),
    "tokens_per_step": ("tokens_per_step",),
    "batch_tokens": ("batch_tokens",),
    "batch_size": ("batch_size",),
    "seq_len": ("seq_len", "sequence_length", "max_seq_len", "block_size", "context_length"),
    "peak_lr": ("peak_lr", "lr", "learning_rate", "max_lr"),
    "width": ("width", "d_model", "hidden_size", "n_embd"),
    "depth": ("depth", "n_layers", "num_hidden_layers", "n_layer"),
    "seed": ("seed",),
}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([kKMBbGgTtP]?)")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
NON_FINITE = {
    "nan": float("nan"),
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), float("inf")),
    **dict.fromkeys(("-inf", "-infinity"), float("-inf")),
}


def read_number(text: str, has_decimal_comma: bool = False) -> float | None:
    """Return a number such as 1e-3, 125M, nan or, where the file has it, 1,5; else None."""
    text = text.strip()
    if text.lower() in NON_FINITE:
        return NON_FINITE[text.lower()]
    if has_decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    return float(match[1]) * _UNITS.get(match[2].lower(), 1.0)


def read_mapping(items: Sequence[str]) -> dict[str, str]:
    """Return {fact: key} of texts such as n_params=model.size.

    Raises
    ------
    UsageError
        A text has another form.
    """
    found = {}
    for item in items:
        fact, equals, key = item.partition("=")
        if not equals or not fact or not key:
            raise UsageError(f"--map {item!r}: write it as fact=key, such as n_params=model.size")
        found[fact] = key
    return found


def compile_pattern(text: str | None) -> re.Pattern[str] | None:
    """Return the pattern that facts are read out of names by.

    Raises
    ------
    UsageError
        The pattern is none, or names no group.
    """
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"--name-regex {text!r}: {error}") from error
    if not pattern.groupindex:
        raise UsageError(
            f"--name-regex {text!r} names no group; write one a fact: (?P<n_params>[0-9.]+[MB])"
        )
    return pattern


def find_facts(
    name: str,
    config: Mapping[str, object],
    mapping: Mapping[str, str],
    pattern: re.Pattern[str] | None,
) -> dict[str, object]:
    """Return the facts of a run that the user's mapping and pattern give."""
    flat = flatten(config, "")
    found: dict[str, object] = {}
    match = pattern.search(name) if pattern else None
    if match:
        found |= {fact: text for fact, text in match.groupdict().items() if text}
    found |= {fact: flat[key] for fact, key in mapping.items() if flat.get(key) is not None}
    return found


def guess_facts(config: Mapping[str, object]) -> dict[str, object]:
    """Return the facts that the server will recognise in a config."""
    last = {path.rpartition(".")[2].casefold().replace("-", "_"): value
            for path, value in flatten(config, "").items()}  # fmt: skip
    found = {}
    for fact, keys in RECOGNISED.items():
        values = [last[key] for key in keys if last.get(key) is not None]
        if values:
            found[fact] = values[0]
    return found
