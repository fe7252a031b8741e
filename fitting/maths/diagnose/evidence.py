"""D20: what limits the other verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, WATCH, Threshold, Verdict

SLUG = "evidence"
SPARSE_BY_NATURE = ("loss.val",)
SMOOTHABLE = ("loss.train", "optim.grad_norm")
THRESHOLDS = (
    Threshold("cadence", 0.01, "mean distance of logged steps over the run: above, watch", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for every recognised metric."""
    return Track.start(capacity=16, has_texture=name in SMOOTHABLE)


def judge(case: Case) -> Verdict:
    """List what limits a diagnosis of this run."""
    tracks = {name: track for name in sorted(case.state) if (track := case.track(name))}
    if not tracks:
        return case.unknown("no recognised metric is logged")
    limits = [*_find_cadences(case, tracks), *_find_textures(tracks), *_find_counts(case)]
    unread = case.config.values.get("unread")
    for name, needed in unread.items() if isinstance(unread, dict) else ():
        limits.append(f"{name} is not read: its unit needs {needed} in the config")
    if case.config.number("total_steps") is None:
        limits.append("total_steps is not in the config")
    if case.config.guessed:
        names = ", ".join(sorted(case.config.guessed)[:5])
        limits.append(f"names taken for metrics by their likeness: {names}")
    coverage = {
        name: [track.n, track.first_step, track.last_step, track.cadence if track.n > 1 else None]
        for name, track in tracks.items()
    }
    values = {"limits": limits, "n_metrics": len(tracks), "coverage": coverage}
    if not limits:
        text = f"Nothing limits the diagnosis: {len(tracks)} metrics, finely logged."
        return case.verdict(OK, text, values, tracks)
    plural = "s" if len(limits) > 1 else ""
    text = f"{len(limits)} limit{plural} on this diagnosis: {'; '.join(limits)}."
    return replace(case.verdict(WATCH, text, values, tracks), remarks=())


def _find_cadences(case: Case, tracks: Mapping[str, Track]) -> list[str]:
    coarse = {
        name: track.cadence
        for name, track in tracks.items()
        if name not in SPARSE_BY_NATURE
        and track.n > 1
        and track.cadence > 1  # nothing is finer than every step
        and track.cadence > case.limit("cadence") * case.length
    }
    if not coarse:
        return []
    name = max(coarse, key=lambda key: coarse[key])
    noun = "metric is" if len(coarse) == 1 else "metrics are"
    return [f"{len(coarse)} {noun} logged coarsely, {name} every {coarse[name]:.3g} steps"]


def _find_textures(tracks: Mapping[str, Track]) -> list[str]:
    known = [(name, track.texture) for name, track in tracks.items() if track.texture]
    smoothed = [f"{name} looks smoothed before logging" for name, its in known if its.is_smoothed]
    return smoothed + [
        f"{name} stands still for 64 values" for name, its in known if its.is_rounded
    ]


def _find_counts(case: Case) -> list[str]:
    named = (
        ("overwritten", "values overwritten by others at the same step"),
        ("attempt", "restarts, whose replaced points are left out"),
        ("dropped", "values dropped by the client"),
    )
    return [
        f"{int(count)} {text}"
        for key, text in named
        if (count := case.config.number(key)) and count > 0
    ]


def find_absent(verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    """Return what all other verdicts miss."""
    found = (name for slug, verdict in verdicts.items() if slug != SLUG for name in verdict.missing)
    return tuple(dict.fromkeys(found))


def revise(own: Verdict, others: Mapping[str, Verdict]) -> Verdict:
    """Name what other diagnostics could not find."""
    return replace(own, missing=find_absent(others))


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D20",
    title="Quality of the evidence",
    question="What limits the other verdicts?",
    definition="Cadence of each metric, missing keys, smoothed or rounded sources, overwritten "
    "points, restarts and guessed names.",
    source="ScaleDash",
    needs=("any metric",),
    pitfalls="Validation metrics are sparse by nature; a declared restart is not an error.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    revise=revise,
)
