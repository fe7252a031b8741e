"""Scale facts: where each is from, and which source counts. Pure.

`run.facts` maps a fact to its sources, strongest first: {value, unit, source, detail, at}. A run
holds one entry for each source of a fact. The typed columns of a run are the strongest entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.names import (
    CONFIG_KEYS,
    FLOPS,
    TOKENS,
    canonical_metric,
    find_flop_unit,
    name_flop_convention,
    plain_key,
)
from scaledash.lib.units import format_flops, format_quantity, parse_quantity

Source = dict[str, object]
Facts = dict[str, list[Source]]

STRENGTH = (
    "edited",
    "declared",
    "logged",
    "framework",
    "config",
    "imported",
    "parent",
    "derived",
    "name",
)
COLUMNS = (
    "n_params",
    "n_params_non_embedding",
    "n_params_active",
    "n_tokens",
    "target_tokens",
    "flops",
    "flops_per_token",
    "tokens_per_step",
    "batch_tokens",
    "seq_len",
    "width",
    "depth",
    "peak_lr",
    "warmup_steps",
    "total_steps",
    "loss_at_init",
    "seed",
)
OTHER_NUMBERS = (
    *("n_heads", "head_dim", "vocab", "batch_size", "accumulation", "world_size"),
    *("z_loss_coef", "weight_decay", "adam_eps"),
    *("parent_step", "parent_tokens", "parent_flops"),  # where a fork begins to count
)
TEXTS = ("flop_convention", "schedule", "parametrization", "optimizer", "qk_norm", "wd_mode")
DECLARABLE = frozenset((*COLUMNS, *OTHER_NUMBERS, *TEXTS))
UNITS = {
    **dict.fromkeys(("n_params", "n_params_non_embedding", "n_params_active"), "parameters"),
    **dict.fromkeys(("n_tokens", "target_tokens", "batch_tokens", "seq_len"), "tokens"),
    "parent_tokens": "tokens",
    "tokens_per_step": "tokens/step",
    "flops": "FLOPs",
    "parent_flops": "FLOPs",
    "flops_per_token": "FLOPs/token",
    "warmup_steps": "steps",
    "total_steps": "steps",
    "loss_at_init": "nats",
}
COUNTED = frozenset(  # whole numbers that people know by their digits: 1,024 and not 1.02k
    (
        *("tokens_per_step", "batch_tokens", "seq_len", "width", "depth"),
        *("warmup_steps", "total_steps"),
    )
)
LEAST_ROUNDED = 1e6
PRIVATE = "_scaledash"
CONVENTIONS = {  # name -> which parameters N stands for
    "6ND_active": "n_params_active",
    "6ND_non_embedding": "n_params_non_embedding",
    "6ND_total": "n_params",
}
BATCH_FACTORS = ("batch_size", "seq_len", "accumulation", "world_size")
MAX_TEXT = 200
CHECKED = 1e30  # beyond it nothing is measured, and products leave the range of float64


@dataclass(frozen=True)
class Resolved:
    """The facts of a run and the columns that follow from them."""

    facts: Facts
    columns: dict[str, float | None]
    flop_convention: str


def read_declared(scale: Mapping[str, object]) -> dict[str, object]:
    """Return the values of declared facts; ValueError(name, reason) for what is none."""
    found: dict[str, object] = {}
    for name, value in scale.items():
        try:
            found[name] = _read_text(value) if name in TEXTS else _read_number(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(name, str(error)) from error
    return found


def read_config(config: Mapping[str, object]) -> dict[str, tuple[object, str]]:
    """Return fact -> (value, path) for the keys of a config that name one and fit it."""
    leaves: dict[str, tuple[str, object]] = {}
    for path, value in walk(config):
        leaves.setdefault(plain_key(path), (path, value))
    found: dict[str, tuple[object, str]] = {}
    for fact, keys in CONFIG_KEYS.items():
        for path, value in (leaves[key] for key in keys if key in leaves):
            usable = _read_config_value(fact, value)
            if usable is not None:
                found[fact] = (usable, path)
                break
    return found


def write_fact(name: str, value: float | None, digits: int = 3) -> str:
    """Write a scale fact the way people speak of it."""
    if value is None:
        return ""
    if name == "flops":
        return format_flops(value, digits)
    if name == "seed":
        return f"{value:.0f}"
    if name in COUNTED and value == round(value) and abs(value) < LEAST_ROUNDED:
        return f"{value:,.0f}"
    return format_quantity(value, digits)


def leave_private_out(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config without what the client keeps in it on its own account: marks, alerts."""
    return {key: value for key, value in config.items() if key != PRIVATE}


def walk(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted path, value) of the leaves of a config."""
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from walk(value, f"{path}.")
        else:
            yield path, value


def _read_config_value(fact: str, value: object) -> object:
    try:
        return _read_text(value) if fact in TEXTS else _read_number(value)
    except (ValueError, TypeError, AttributeError):
        return None


def _read_text(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        return str(value)[:MAX_TEXT]
    raise ValueError("a short text or a flag is wanted")


def _read_number(value: object) -> float:
    number = parse_quantity(value)
    if abs(number) > CHECKED:
        raise ValueError(f"{number:g} is beyond {CHECKED:g}")
    return number


def set_source(facts: Facts, fact: str, entry: Source) -> Facts:
    """Return the facts with one source's entry replaced, strongest first."""
    others = [known for known in facts.get(fact, []) if known["source"] != entry["source"]]
    ordered = sorted([*others, entry], key=lambda known: STRENGTH.index(str(known["source"])))
    return {**facts, fact: ordered}


def drop_source(facts: Facts, source: str, keep: frozenset[str] = frozenset()) -> Facts:
    """Return the facts without the entries of one source, those of the facts in `keep` aside."""
    found = {
        fact: entries if fact in keep else [entry for entry in entries if entry["source"] != source]
        for fact, entries in facts.items()
    }
    return {fact: entries for fact, entries in found.items() if entries}


def make_source(fact: str, value: object, source: str, detail: object, at: str) -> Source:
    """Return one entry."""
    return {
        "value": value,
        "unit": UNITS.get(fact, ""),
        "source": source,
        "detail": detail,
        "at": at,
    }


def apply_config(facts: Facts, config: Mapping[str, object], at: str) -> Facts:
    """Read the facts that a config names; a key that is gone takes its fact with it."""
    found = read_config(leave_private_out(config))
    facts = drop_source(facts, "config", frozenset(found))
    for fact, (value, path) in found.items():
        facts = set_source(facts, fact, make_source(fact, value, "config", path, at))
    by, told = _read_framework(config)
    facts = drop_source(facts, "framework", frozenset(told))
    for fact, value in told.items():
        facts = set_source(facts, fact, make_source(fact, value, "framework", by, at))
    return facts


def _read_framework(config: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return what a callback has read off model and trainer, and the name of the framework."""
    kept = config.get(PRIVATE)
    told = kept.get("framework") if isinstance(kept, Mapping) else None
    facts = told.get("facts") if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(facts, Mapping):
        return "", {}
    read = {fact: _read_config_value(fact, facts[fact]) for fact in DECLARABLE & facts.keys()}
    return str(told.get("by"))[:MAX_TEXT], {k: v for k, v in read.items() if v is not None}


def apply_declared(
    facts: Facts, values: Mapping[str, object], at: str, source: str = "declared"
) -> Facts:
    """Set declared facts, or those that an import brought."""
    for fact, value in values.items():
        facts = set_source(facts, fact, make_source(fact, value, source, "", at))
    return facts


def apply_logged(facts: Facts, summary: Mapping[str, Mapping[str, object]], at: str) -> Facts:
    """Read D and C off the last values of the metrics that count them, where there are any."""
    for name in sorted(summary):
        canonical = canonical_metric(name)
        if canonical not in (TOKENS, FLOPS):
            continue
        last = decode_float(summary[name].get("last"))
        if last is None or not math.isfinite(last) or abs(last) > CHECKED:
            continue
        detail = {"metric": name, "step": summary[name].get("last_step")}
        fact = "n_tokens" if canonical == TOKENS else "flops"
        if fact == "flops":
            detail["convention"] = name_flop_convention(name)
            last *= find_flop_unit(name)
        facts = set_source(facts, fact, make_source(fact, last, "logged", detail, at))
    return facts


def resolve(facts: Facts, last_step: int | None, at: str) -> Resolved:
    """Derive what follows from the sources, and let the strongest entry of each fact count."""
    facts = drop_source(facts, "derived")
    for fact, value, detail in _derive(facts, last_step):
        facts = set_source(facts, fact, make_source(fact, value, "derived", detail, at))
    columns = {name: take(facts, name) for name in COLUMNS}
    return Resolved(facts, columns, _find_convention(facts))


def _derive(facts: Facts, last_step: int | None) -> Iterator[tuple[str, float, object]]:
    per_step, how = _derive_tokens_per_step(facts)
    if per_step is not None and how:
        yield "tokens_per_step", per_step, how
    if per_step is not None and take(facts, "batch_tokens") is None:
        yield "batch_tokens", per_step, "tokens_per_step"
    tokens = take(facts, "n_tokens")
    if tokens is None and per_step is not None and last_step is not None:
        tokens, how = _count_tokens(facts, per_step, last_step)
        yield "n_tokens", tokens, how
    if tokens is None:
        return
    flops, convention = _count_flops(facts, tokens)
    if flops is not None:
        yield "flops", flops, {"convention": convention}


def _count_tokens(facts: Facts, per_step: float, last_step: int) -> tuple[float, str]:
    """Return D at a step, and how; a fork counts on from its parent's D."""
    begun, before = take(facts, "parent_step"), take(facts, "parent_tokens")
    if begun is None or before is None:
        return per_step * last_step, f"tokens_per_step x {last_step} steps"
    own = max(0.0, last_step - begun)
    return before + per_step * own, f"parent's {before:g} + tokens_per_step x {own:.0f} steps"


def _count_flops(facts: Facts, tokens: float) -> tuple[float | None, str]:
    """Return C and its convention; a fork counts on from its parent's C."""
    before, spent = take(facts, "parent_tokens"), take(facts, "parent_flops")
    if before is None or spent is None:
        return derive_flops(facts, tokens)
    own, convention = derive_flops(facts, max(0.0, tokens - before))
    return (None if own is None else _keep_in_range(spent + own)), convention


def _derive_tokens_per_step(facts: Facts) -> tuple[float | None, str]:
    known = take(facts, "tokens_per_step")
    if known is not None:
        return known, ""
    batch = take(facts, "batch_tokens")
    if batch is not None:
        return batch, "batch_tokens"
    factors = [take(facts, name) for name in BATCH_FACTORS]
    if any(factor is None for factor in factors):
        return None, ""
    return math.prod(factors), " x ".join(BATCH_FACTORS)


def derive_flops(facts: Facts, tokens: float) -> tuple[float | None, str]:
    """Return C and the convention by which it follows from D, None where nothing says."""
    per_token = take(facts, "flops_per_token")
    if per_token is not None:
        return _keep_in_range(per_token * tokens), "flops_per_token"
    wanted = _first(facts.get("flop_convention"))
    if wanted == "6ND_attention":
        return _derive_attention_flops(facts, tokens), "6ND_attention"
    choices = (wanted,) if wanted in CONVENTIONS else tuple(CONVENTIONS)
    for convention in choices:
        n_params = take(facts, CONVENTIONS[str(convention)])
        if n_params is not None:
            return _keep_in_range(6 * n_params * tokens), str(convention)
    return None, ""


def _derive_attention_flops(facts: Facts, tokens: float) -> float | None:
    """Return (6 N + 6 x seq_len x width x depth) D."""
    n_params = take(facts, "n_params_non_embedding") or take(facts, "n_params")
    shape = [take(facts, name) for name in ("seq_len", "width", "depth")]
    if n_params is None or any(size is None for size in shape):
        return None
    return _keep_in_range((6 * n_params + 6 * math.prod(shape)) * tokens)


def _keep_in_range(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _find_convention(facts: Facts) -> str:
    strongest = facts.get("flops")
    if strongest:
        detail = strongest[0]["detail"]
        if isinstance(detail, Mapping) and detail.get("convention"):
            return str(detail["convention"])
    declared = _first(facts.get("flop_convention"))
    return str(declared)[:32] if declared is not None else ""


def take(facts: Facts, fact: str) -> float | None:
    """Return the number that counts for a fact."""
    value = _first(facts.get(fact))
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _first(entries: Sequence[Source] | None) -> object:
    return entries[0]["value"] if entries else None
