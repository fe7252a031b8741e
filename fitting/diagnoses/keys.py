"""Metric names of a run to the keys that diagnostics read: layer and parameter kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from fitting.diagnoses.aliases import find_alias, find_framework
from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.units import find_factor, find_needed
from scaledash.lib.names import ALIASES, canonical_metric

PLAIN_KEYS = (
    *("loss.train", "loss.val", "loss.total", "loss.z", "loss.max_rank"),
    *("logits.logz_mean", "logits.logz_sq", "logits.mean", "logits.max", "logits.rms"),
    *("logits.p_one_frac", "optim.lr", "optim.grad_norm", "optim.grad_norm_clipped"),
    *("optim.clip_coef", "optim.step_skipped", "optim.loss_scale", "update.norm"),
    *("update.cos_grad", "param.norm", "gns.b_simple", "curv.sharpness"),
)
LAYERED = ("attn.max_logit", "attn.max_abs_logit", "attn.entropy", "act.rms", "q.rms", "k.rms")
BY_PARAMETER = ("grad.rms", "update.rms", "adam.rms", "param.rms", "param.top_sv")
SEPARATORS = re.compile(r"[\s\-./_]+")
WORD = re.compile(r"[^\s\-./_]+")
LAYER = re.compile(r"(?:^|[^a-z])(?:l|layers?|blocks?|h)[\s\-./_]*(\d+)(?:$|[^0-9])", re.IGNORECASE)


OWN, TABLE, LIKENESS, BY_HAND = "own name", "alias", "likeness", "set by hand"


@dataclass(frozen=True)
class Key:
    """What a metric is read as; an empty `name` says that nothing may read it.

    `how` is one of own name, alias, likeness and set by hand.
    """

    name: str
    how: str = OWN
    unit: str = ""
    note: str = ""

    @property
    def is_guess(self) -> bool:
        """Say whether only the likeness of the name speaks for it."""
        return self.how == LIKENESS


Meanings = Mapping[str, Key]  # metric -> what a person says of it


@dataclass(frozen=True)
class MetricMap:
    """Which metric of a run stands for which key.

    `metrics` maps keys to metrics, `units` keys to the unit of their metric where it has one, and
    `unread` metrics to the config key without which their unit cannot be converted.
    """

    metrics: dict[str, str]
    guessed: frozenset[str] = frozenset()
    units: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


@lru_cache(maxsize=16384)
def find_key(name: str, framework: str = "") -> Key | None:
    """Return the key of a metric, None where nothing reads it."""
    if name in PLAIN_KEYS:
        return Key(name)
    for stem in (*BY_PARAMETER, *LAYERED):
        rest = _strip(name, stem)
        if rest is not None:
            return _complete(stem, rest)
    canonical = canonical_metric(name)
    alias = find_alias(name, framework) if canonical is None or framework else None
    if alias is not None:
        return Key(alias.read(name) or "", TABLE, alias.unit, alias.note)
    if canonical in LAYERED:
        layer = LAYER.search(name)
        how = TABLE if name in ALIASES[canonical] else LIKENESS
        return Key(f"{canonical}.L{int(layer[1])}" if layer else canonical, how)
    if canonical in PLAIN_KEYS:
        return Key(canonical, TABLE)
    folded = _fold(name)
    return next((Key(key) for key in PLAIN_KEYS if _fold(key) == folded), None)


def _complete(stem: str, rest: str) -> Key | None:
    if stem in BY_PARAMETER:
        return Key(f"{stem}.{rest}") if rest else None
    if not rest:
        return Key(stem)
    layer = re.fullmatch(r"(?:l|layers?|blocks?|h)?[\s\-./_]*(\d+)", rest, re.IGNORECASE)
    return Key(f"{stem}.L{int(layer[1])}") if layer else None


def _strip(name: str, stem: str) -> str | None:
    """Return what follows the stem, whatever separators the name uses; None without the stem."""
    wanted = [part.casefold() for part in SEPARATORS.split(stem)]
    words = list(WORD.finditer(name))[: len(wanted)]
    if [word[0].casefold() for word in words] != wanted or words[0].start() > 0:
        return None
    rest = name[words[-1].end() :]
    after = SEPARATORS.sub("", rest, count=1) if rest else ""
    return after if after or not rest else None


def _fold(name: str) -> str:
    return SEPARATORS.sub("_", name.casefold()).strip("_")


def is_key(name: str) -> bool:
    """Say whether a text is the canonical name of something that a diagnostic can read."""
    found = find_key(name)
    return found is not None and found.how == OWN and found.name == name


def recognise(names: Collection[str], meanings: Meanings) -> dict[str, Key]:
    """Return metric -> what it is read as; what a person said goes before any recognition."""
    framework = find_framework(names)
    found = {name: meanings.get(name) or find_key(name, framework) for name in names}
    return {name: key for name, key in found.items() if key is not None}


def map_metrics(
    names: Collection[str], meanings: Meanings | None = None, config: RunConfig | None = None
) -> MetricMap:
    """Choose one metric for each key: by hand, own name, no conversion, and the first by name."""
    found: dict[str, tuple[bool, bool, bool, bool, str]] = {}
    unread: dict[str, str] = {}
    keys = {name: key for name, key in recognise(names, meanings or {}).items() if key.name}
    for name, key in keys.items():
        if find_factor(key.unit, key.name, config or RunConfig()) is None:
            unread[name] = find_needed(key.unit, key.name)
            continue
        order = (key.how != BY_HAND, name != key.name, bool(key.unit), key.is_guess, name)
        found[key.name] = min(found.get(key.name, order), order)
    metrics = {key: order[-1] for key, order in sorted(found.items())}
    return MetricMap(
        metrics,
        frozenset(key for key, metric in metrics.items() if keys[metric].is_guess),
        {key: keys[metric].unit for key, metric in metrics.items() if keys[metric].unit},
        {name: needed for name, needed in unread.items() if keys[name].name not in metrics},
    )
