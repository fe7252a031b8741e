"""Metric names of a run to the keys that diagnostics read: layer and parameter kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from scaledash.lib.names import canonical_metric

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


@dataclass(frozen=True)
class Key:
    """What a metric is read as; `is_guess` where only its likeness says so."""

    name: str
    is_guess: bool


@dataclass(frozen=True)
class Mapping:
    """Which metric of a run stands for which key: key -> metric, and the guessed keys."""

    metrics: dict[str, str]
    guessed: frozenset[str]


@lru_cache(maxsize=16384)
def find_key(name: str) -> Key | None:
    """Return the key of a metric, None where nothing reads it."""
    if name in PLAIN_KEYS:
        return Key(name, False)
    for stem in (*BY_PARAMETER, *LAYERED):
        rest = _strip(name, stem)
        if rest is not None:
            return _complete(name, stem, rest)
    canonical = canonical_metric(name)
    if canonical in LAYERED:
        layer = LAYER.search(name)
        return Key(f"{canonical}.L{int(layer[1])}" if layer else canonical, True)
    if canonical in PLAIN_KEYS:
        return Key(canonical, False)
    folded = _fold(name)
    return next((Key(key, False) for key in PLAIN_KEYS if _fold(key) == folded), None)


def _complete(name: str, stem: str, rest: str) -> Key | None:
    if stem in BY_PARAMETER:
        return Key(f"{stem}.{rest}", False) if rest else None
    if not rest:
        return Key(stem, False)
    layer = re.fullmatch(r"(?:l|layers?|blocks?|h)?[\s\-./_]*(\d+)", rest, re.IGNORECASE)
    return Key(f"{stem}.L{int(layer[1])}", False) if layer else None


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


def map_metrics(names: Iterable[str]) -> Mapping:
    """Choose one metric for each key: the key's own name first, then the first by name."""
    found: dict[str, tuple[bool, str, bool]] = {}
    for name in names:
        key = find_key(name)
        if key is None:
            continue
        candidate = (name != key.name, name, key.is_guess)
        found[key.name] = min(found.get(key.name, candidate), candidate)
    guessed = frozenset(key for key, (_, _, is_guess) in found.items() if is_guess)
    return Mapping({key: metric for key, (_, metric, _) in sorted(found.items())}, guessed)
