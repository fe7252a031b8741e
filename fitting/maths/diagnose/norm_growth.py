"""D13: growth of the residual stream."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.trend import fit_line
from fitting.maths.diagnose.verdict import CRITICAL, OK, WARN, Threshold, Verdict

SLUG = "norm_growth"
BLOCK, PARAMETERS = "act.rms", "param.norm"
SINGULAR = "param.top_sv."
LATE = 0.3
MIN_POINTS = 8
THRESHOLDS = (
    Threshold("growth", 0.5, "decades of block-output RMS per decade of steps: above, warn"),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for block outputs, the parameter norm and top singular values.

    Studies compare the last ones (D15).
    """
    keys = (f"{BLOCK}.L*", PARAMETERS, f"{SINGULAR}*")
    return Track.start(capacity=256) if is_metric(name, *keys) else None


def judge(case: Case) -> Verdict:
    """Judge by the layer that grows fastest over the last 30% of steps."""
    tracks = case.layers(BLOCK)
    if not tracks:
        return case.not_logged(f"{BLOCK}.L*")
    bad = [(track.first_bad_step, name) for name, track in tracks.items() if track.n_bad]
    if bad:
        step, name = min(bad)
        text = f"Block output {name} was not finite at step {step:,}."
        return case.verdict(CRITICAL, text, {"layer": name}, tracks, first_step=step)
    growths = {
        name: found for name, track in tracks.items() if (found := _find_growth(case, track))
    }
    if not growths:
        return case.unknown(f"needs {MIN_POINTS} values in the last 30% of steps after warm-up")
    name = max(growths, key=lambda key: growths[key][0])
    growth, is_certain = growths[name]
    is_bad = growth > case.limit("growth") and is_certain
    block = name.rpartition(".")[2]
    text = f"Block {block} output RMS grows {growth:+.2f} decades per decade of steps."
    values: dict[str, object] = {"growth": growth, "layer": name}
    norm = case.track(PARAMETERS)
    keys = [*tracks]
    if norm is not None and len(norm.samples):
        keys.append(PARAMETERS)
        values["param_norm_ratio"] = (
            norm.last_value / norm.first_value if norm.first_value else None
        )
    first = int(tracks[name].samples.tail(LATE).first[0]) if is_bad else -1
    return case.verdict(WARN if is_bad else OK, text, values, keys, first_step=first)


def _find_growth(case: Case, track: Track) -> tuple[float, bool] | None:
    part = track.samples.tail(LATE).since(case.config.warmup_steps)
    positive = part.select(part.mean > 0)
    if len(positive) < MIN_POINTS:
        return None
    line = fit_line(np.log10(np.maximum(positive.step, 1)), np.log10(positive.mean))
    return None if line is None else (line.slope, line.is_rising)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D13",
    title="Norm growth",
    question="Does the residual stream keep growing?",
    definition="Slope of log10 block-output RMS on log10 step over the last 30% of steps.",
    source="Wortsman et al. 2023 (arXiv 2309.14322), appendix C; Rybakov et al. 2024",
    needs=("act.rms.L*", "param.norm"),
    pitfalls="Short runs without weight decay grow anyway; depths differ; small embeddings give "
    "large early gradients.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    version=2,  # top singular values are kept for studies
)
