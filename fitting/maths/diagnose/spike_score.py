"""D7: the share of values far outside the values before them."""

from __future__ import annotations

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.spikes import PRESETS, Scorer, Spikes
from fitting.maths.diagnose.verdict import OK, WARN, WATCH, Threshold, Verdict

SLUG = "spike_score"
LOSS, GRADIENT = "loss.train", "optim.grad_norm"
THRESHOLDS = (
    Threshold("watch", 0.1, "spikes in percent of the values: above, watch"),
    Threshold("warn", 0.4, "the same: from here on, warn", "OLMo 2 (2501.00656): 0.40 to 0.03"),
    Threshold("least", 5, "spikes from which on a share means more than chance: fewer, watch"),
    Threshold(
        "preset", 0, f"rule: 0 by length, else 1 to {len(PRESETS)} = {', '.join(PRESETS)}", most=4
    ),
)


def start(name: str, config: RunConfig) -> Spikes | None:
    """Return an empty scorer for the loss and the gradient norm."""
    return Spikes.start() if name in (LOSS, GRADIENT) else None


def judge(case: Case) -> Verdict:
    """Judge by the worse of loss and gradient norm."""
    series = {
        name: found
        for name in (LOSS, GRADIENT)
        if isinstance(found := case.state.get(name), Spikes) and found.track.n
    }
    if not series:
        return case.not_logged(LOSS, GRADIENT)
    scores = {name: _choose(case, found) for name, found in series.items()}
    known = {name: scorer for name, scorer in scores.items() if scorer is not None}
    if not known:
        most = max(found.track.n for found in series.values())
        least = PRESETS["olmo-core"].min_points
        return case.unknown(f"needs {least} logged values, has {most}")
    name = max(known, key=lambda key: _find_percent(known[key]))
    scorer = known[name]
    percent = _find_percent(scorer)
    is_many = percent >= case.limit("warn") and scorer.n_spikes >= case.limit("least")
    severity = WARN if is_many else WATCH if percent > case.limit("watch") else OK
    in_warmup = int((scorer.steps <= case.config.warmup_steps).sum())
    cadence = series[name].track.cadence
    text = (
        f"{scorer.n_spikes} spikes in {scorer.n_scored:,} values of {name} ({percent:.2g}%, preset "
        f"{scorer.preset}, every {cadence:.3g} steps)"
    )
    text += f", {in_warmup} of them in warm-up" if in_warmup else ""
    text += f"; worst at step {scorer.worst_step:,}." if scorer.n_spikes else "."
    values = {
        "percent": percent,
        "n_spikes": scorer.n_spikes,
        "n_scored": scorer.n_scored,
        "n_in_warmup": in_warmup,
        "worst_step": scorer.worst_step if scorer.n_spikes else None,
        "metric": name,
        "n_nonfinite": series[name].track.n_bad,
        "steps": scorer.steps[:50].tolist(),
        "by_preset": {item.preset: _find_percent(item) for item in series[name].scorers},
    }
    first = int(scorer.steps[0]) if scorer.n_spikes and severity != OK else -1
    missing = [key for key in (LOSS, GRADIENT) if key not in series]
    return case.verdict(
        severity, text, values, known, first_step=first, preset=scorer.preset, missing=missing
    )


def _choose(case: Case, series: Spikes) -> Scorer | None:
    """Return the scorer of the preset that is set, or that the length allows."""
    wanted = int(case.limit("preset"))
    if 1 <= wanted <= len(PRESETS):
        scorer = series.get(list(PRESETS)[wanted - 1])
        return scorer if scorer.n_scored else None
    for preset in ("olmo2", "olmo-core"):
        if series.get(preset).n >= PRESETS[preset].min_points:
            return series.get(preset)
    return None


def _find_percent(scorer: Scorer) -> float:
    return 100.0 * scorer.n_spikes / scorer.n_scored if scorer.n_scored else 0.0


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D7",
    title="Spike score",
    question="How often do loss or gradient norm jump?",
    definition="Percentage of values that lie far outside the window before them, by a published "
    "rule that is named with the number.",
    source="OLMo 2 (arXiv 2501.00656), section 3.2; OLMo-core; llm-foundry",
    needs=(LOSS, GRADIENT),
    pitfalls="Another logging cadence is another score: compare equal cadences only. Losses that "
    "are averaged before logging hide spikes.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    ladder=("watch", "warn"),
)
