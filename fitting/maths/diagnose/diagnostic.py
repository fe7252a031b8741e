"""What one diagnostic is: its name, what it needs, its thresholds and its judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fitting.maths.diagnose.case import Accumulator, Case, RunConfig
from fitting.maths.diagnose.verdict import Threshold, Verdict

Start = Callable[[str, RunConfig], Accumulator | None]
Judge = Callable[[Case], Verdict]
Revise = Callable[[Verdict, Mapping[str, Verdict]], Verdict]


@dataclass(frozen=True)
class Diagnostic:
    """One question about a run.

    Parameters
    ----------
    number : its number in docs/diagnostics.md, such as ``D1``
    needs : metrics and config keys, as a person would look for them
    start : (canonical metric, config) -> an empty accumulator, None for a metric it does not read
    judge : case -> verdict
    revise : (own verdict, all verdicts) -> verdict, where another diagnostic has a say
    ladder : thresholds, mildest first, that have to keep the order of their defaults
    kept : thresholds that the state is built on: another value needs all points again
    """

    slug: str
    number: str
    title: str
    question: str
    definition: str
    source: str
    needs: tuple[str, ...]
    pitfalls: str
    thresholds: tuple[Threshold, ...]
    start: Start
    judge: Judge
    revise: Revise | None = None
    ladder: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    version: int = 1


def is_metric(name: str, *keys: str) -> bool:
    """Say whether a name is one of the keys, or one of their layers or parameters.

    A key ``attn.max_logit.L*`` stands for itself without a suffix and for every layer,
    ``grad.rms.*`` for every parameter.
    """
    return any(_matches(name, key) for key in keys)


def _matches(name: str, key: str) -> bool:
    if key.endswith(".L*"):
        stem = key[:-3]
        return name == stem or (name.startswith(f"{stem}.L") and name[len(stem) + 2 :].isdigit())
    if key.endswith(".*"):
        return name.startswith(key[:-1])
    return name == key
