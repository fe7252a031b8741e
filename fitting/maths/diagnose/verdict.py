"""What a diagnosis says: a severity, a sentence, and everything needed to check both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fitting.maths.records import Record

OK, WATCH, WARN, CRITICAL, UNKNOWN = "ok", "watch", "warn", "critical", "unknown"
SEVERITIES = (OK, WATCH, WARN, CRITICAL)
HIGH, MEDIUM, LOW = "high", "medium", "low"
CONFIDENCES = (LOW, MEDIUM, HIGH)
DEFAULT = "ScaleDash default"


@dataclass(frozen=True)
class Threshold(Record):
    """One number that a severity hangs on, and where it comes from.

    Parameters
    ----------
    name : stable name within its diagnostic
    text : what is compared with it
    source : paper, code or `DEFAULT`; of a project's own value, who changed it
    most : largest value that has a meaning, None where any has; the least one is zero
    """

    name: str
    value: float
    text: str
    source: str = DEFAULT
    most: float | None = None


@dataclass(frozen=True)
class Evidence(Record):
    """What was looked at.

    Parameters
    ----------
    keys : canonical names of the metrics
    first_step, last_step, n_points : of all of them together; None without points
    cadence : mean distance of logged steps, of the most coarsely logged metric
    preset : published rule that was applied, empty where there is one rule only
    """

    keys: tuple[str, ...]
    first_step: int | None = None
    last_step: int | None = None
    n_points: int = 0
    cadence: float | None = None
    preset: str = ""


@dataclass(frozen=True)
class Verdict(Record):
    """One diagnostic's judgement of one run or study.

    Parameters
    ----------
    severity : one of `SEVERITIES`, or `UNKNOWN`, whose reason is the sentence
    first_step : since when the run is at this severity, None where that has no meaning
    missing : metrics and config keys that would be needed
    remarks : what limits the verdict, in sentences
    """

    diagnostic: str
    severity: str
    sentence: str
    confidence: str = LOW
    values: Mapping[str, object] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    evidence: Evidence = Evidence(())
    first_step: int | None = None
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """Return the place of the severity, -1 for unknown."""
        return SEVERITIES.index(self.severity) if self.severity in SEVERITIES else -1

    @property
    def is_known(self) -> bool:
        """Say whether anything could be judged."""
        return self.severity != UNKNOWN


def is_at_least(verdict: Verdict | None, severity: str) -> bool:
    """Say whether there is a verdict and it is that bad or worse."""
    return verdict is not None and verdict.rank >= SEVERITIES.index(severity)


def find_band(value: float, watch: float, warn: float, critical: float) -> str:
    """Return the severity of a value for which larger is worse."""
    return SEVERITIES[sum(value >= level for level in (watch, warn, critical))]


def raise_band(severity: str) -> str:
    """Return the next worse severity."""
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]
