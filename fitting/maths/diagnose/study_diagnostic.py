"""What one diagnostic of a study is, and how it states its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.verdict import MEDIUM, UNKNOWN, Evidence, Threshold, Verdict


@dataclass(frozen=True)
class StudyDiagnostic:
    """One question about the runs of a study together; the fields are those of `Diagnostic`."""

    slug: str
    number: str
    title: str
    question: str
    definition: str
    source: str
    needs: tuple[str, ...]
    pitfalls: str
    thresholds: tuple[Threshold, ...] = ()
    ladder: tuple[str, ...] = ()

    def limit(self, limits: Limits, name: str) -> float:
        """Return the value of a threshold in force."""
        return self.find_limits(limits)[name].value

    def find_limits(self, limits: Limits) -> dict[str, Threshold]:
        """Return the thresholds in force by name."""
        own = limits.get(self.slug, {})
        return {item.name: own.get(item.name, item) for item in self.thresholds}

    def state(
        self,
        limits: Limits,
        severity: str,
        sentence: str,
        values: Mapping[str, object] | None = None,
        confidence: str = MEDIUM,
    ) -> Verdict:
        """Return a verdict with the thresholds that it was judged by."""
        return Verdict(
            self.slug,
            severity,
            sentence,
            confidence,
            dict(values or {}),
            tuple(self.find_limits(limits).values()),
            Evidence(self.needs),
        )

    def refuse(
        self, limits: Limits, reason: str, values: Mapping[str, object] | None = None
    ) -> Verdict:
        """Return the verdict that nothing can be said, and why."""
        return self.state(limits, UNKNOWN, reason, values)
