"""One diagnostic's view of one run: its state, the run's config and the limits in force."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fitting.maths.diagnose.history import Samples
from fitting.maths.diagnose.spikes import Spikes
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import (
    CONFIDENCES,
    HIGH,
    LOW,
    MEDIUM,
    UNKNOWN,
    Evidence,
    Threshold,
    Verdict,
)

Accumulator = Track | Spikes
Limits = Mapping[str, Mapping[str, Threshold]]
State = Mapping[str, Accumulator]
FINE_CADENCE = 0.01  # of the run: coarser logging lowers the confidence
FEW_POINTS = 20
SETTLED, SETTLED_POINTS = 0.02, 20  # of the planned steps, or points: how long to stay better
ABSENT = (None, "", "none", "null", "off", 0, 0.0, False)
LAYER = re.compile(r"\.L(\d+)$")


@dataclass(frozen=True)
class RunConfig:
    """What is known of a run beside its metrics; a missing key stays missing.

    Parameters
    ----------
    values : config keys and scale facts by their canonical names
    guessed : canonical metric names whose mapping nobody has confirmed
    limits : slug -> name -> threshold in force instead of the default
    """

    values: Mapping[str, object] = field(default_factory=dict)
    guessed: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=dict)

    def limit(self, slug: str, default: Threshold) -> Threshold:
        """Return the threshold in force."""
        return self.limits.get(slug, {}).get(default.name, default)

    def number(self, name: str) -> float | None:
        """Return a finite number, or None."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            found = float(value)
        except ValueError:
            return None
        return found if math.isfinite(found) else None

    def text(self, name: str) -> str:
        """Return a text in lower case, empty where there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value).strip().casefold()

    def has(self, name: str) -> bool:
        """Say whether something is switched on (a softcap, a clip)."""
        value = self.values.get(name)
        return value not in ABSENT and self.text(name) not in ABSENT

    @property
    def warmup_steps(self) -> float:
        """Return the length of the warm-up, zero where it is not known."""
        return self.number("warmup_steps") or 0.0


@dataclass(frozen=True)
class Case:
    """What a diagnostic judges.

    Parameters
    ----------
    state : canonical metric name -> what its points left behind
    limits : name of a threshold -> the one in force
    """

    slug: str
    state: State
    config: RunConfig
    limits: Mapping[str, Threshold]

    def limit(self, name: str) -> float:
        """Return the value of a threshold."""
        return self.limits[name].value

    def track(self, key: str) -> Track | None:
        """Return the track of a metric that has points."""
        found = self.state.get(key)
        track = found.track if isinstance(found, Spikes) else found
        return track if track is not None and track.n else None

    def layers(self, key: str) -> dict[str, Track]:
        """Return the tracks of a metric by layer, else the one over all layers."""
        names = sorted(
            (name for name in self.state if name.startswith(f"{key}.L") and LAYER.search(name)),
            key=lambda name: int(LAYER.search(name)[1]),  # type: ignore[index]
        )
        found = {name: track for name in names or [key] if (track := self.track(name))}
        return found

    @property
    def last_step(self) -> int:
        """Return the last step of any of the metrics."""
        return max((track.last_step for track in self._tracks()), default=0)

    @property
    def length(self) -> float:
        """Return the planned number of steps, or how far the run has come."""
        return max(self.config.number("total_steps") or 0.0, float(self.last_step), 1.0)

    def settle(self, curve: Samples) -> Samples:
        """Return the end of a curve that has to stay better before a severity falls.

        It is the last 2% of the planned steps, or 20 points where the plan is not known.
        """
        planned = self.config.number("total_steps")
        if planned is None:
            return curve.select(slice(-SETTLED_POINTS, None))
        recent = curve.since(float(curve.step[-1]) - SETTLED * planned) if len(curve) else curve
        return recent if len(recent) else curve.select(slice(-1, None))

    def _tracks(self) -> list[Track]:
        return [track for name in self.state if (track := self.track(name))]

    def unknown(self, reason: str, missing: Sequence[str] = ()) -> Verdict:
        """Return the verdict that nothing can be said, and why."""
        return Verdict(
            self.slug,
            UNKNOWN,
            reason,
            thresholds=tuple(self.limits.values()),
            missing=tuple(missing),
            evidence=self._describe(list(self.state), ""),
        )

    def not_logged(self, *names: str) -> Verdict:
        """Return the verdict that metrics are missing."""
        return self.unknown(f"not logged: {', '.join(names)}", names)

    def not_configured(self, *names: str) -> Verdict:
        """Return the verdict that the run's config lacks something."""
        return self.unknown(f"not in the config: {', '.join(names)}", names)

    def not_applicable(self, reason: str) -> Verdict:
        """Return the verdict that the question makes no sense for this run."""
        return self.unknown(f"not applicable: {reason}")

    def verdict(
        self,
        severity: str,
        sentence: str,
        values: Mapping[str, object],
        keys: Iterable[str],
        **more: object,
    ) -> Verdict:
        """Return a verdict with its evidence and the confidence that follows from it.

        `more` may hold first_step, missing, remarks, preset, and `limit_to`, the best confidence.
        """
        used = list(keys)
        tracks = [track for name in used if (track := self.track(name))]
        confidence, remarks = self._weigh(used, tracks)
        best = str(more.get("limit_to", HIGH))
        worse = min(CONFIDENCES.index(confidence), CONFIDENCES.index(best))
        first_step = more.get("first_step")
        return Verdict(
            self.slug,
            severity,
            sentence,
            CONFIDENCES[worse],
            dict(values),
            tuple(self.limits.values()),
            self._describe(used, str(more.get("preset", ""))),
            int(first_step) if isinstance(first_step, int | float) and first_step >= 0 else None,
            tuple(more.get("missing", ())),  # type: ignore[arg-type]
            (*more.get("remarks", ()), *remarks),  # type: ignore[misc]
        )

    def _describe(self, keys: Sequence[str], preset: str) -> Evidence:
        tracks = [track for name in keys if (track := self.track(name))]
        if not tracks:
            return Evidence(tuple(keys))
        gaps = [track.cadence for track in tracks if math.isfinite(track.cadence)]
        return Evidence(
            tuple(keys),
            min(track.first_step for track in tracks),
            max(track.last_step for track in tracks),
            sum(track.n for track in tracks),
            max(gaps, default=None),
            preset,
        )

    def _weigh(self, keys: Sequence[str], tracks: Sequence[Track]) -> tuple[str, list[str]]:
        """Return the confidence and what lowers it."""
        low, medium = [], []
        if any(track.n < FEW_POINTS for track in tracks):
            least = min(track.n for track in tracks)
            low.append(f"only {least} logged values")
        if any(track.texture and track.texture.is_smoothed for track in tracks):
            low.append("the source looks smoothed before it was logged")
        if any(track.cadence > FINE_CADENCE * self.length for track in tracks):
            gap = max(track.cadence for track in tracks)
            medium.append(f"logged every {gap:.3g} steps, coarser than 1% of the run")
        if self.config.number("total_steps") is None:
            medium.append("total_steps is not in the config")
        if self.config.guessed.intersection(keys):
            medium.append("the meaning of a metric's name is a guess")
        return (LOW if low else MEDIUM if medium else HIGH), [*low, *medium]
