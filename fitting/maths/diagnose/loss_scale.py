"""D19: steps that fp16 had to skip."""

from __future__ import annotations

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, WARN, Threshold, Verdict

SLUG = "loss_scale"
SKIPPED, SCALE = "optim.step_skipped", "optim.loss_scale"
SEARCH = 0.01  # of the run: the initial search of the scale
THRESHOLDS = (
    Threshold("share", 0.01, "share of steps skipped after the first 1%: above, warn", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for skipped steps and the loss scale."""
    if name not in (SKIPPED, SCALE):
        return None
    searching = SEARCH * (config.number("total_steps") or 0.0)
    return Track.start((0.5,) if name == SKIPPED else (), searching, capacity=256)


def judge(case: Case) -> Verdict:
    """Judge by the share of skipped steps."""
    dtype = case.config.text("dtype")
    if dtype and dtype not in ("fp16", "float16", "half", "16-mixed"):
        return case.not_applicable(f"the run computes in {dtype}")
    skipped, scale = case.track(SKIPPED), case.track(SCALE)
    if skipped is None and scale is None:
        return case.not_logged(SKIPPED)
    values: dict[str, object] = {"scale": scale.last_value if scale else None}
    values["n_halved"] = scale.n_halved if scale else None
    now = f"loss scale {scale.last_value:,.0f}, halved {scale.n_halved} times" if scale else ""
    if skipped is None:
        return case.unknown(f"not logged: {SKIPPED} ({now})", (SKIPPED,))
    share = float(skipped.n_over[0]) / max(skipped.n_counted, 1)
    n_skipped = int(skipped.n_over[0])
    values |= {"share": share, "n_skipped": n_skipped}
    is_bad = share > case.limit("share")
    text = f"{n_skipped:,} steps skipped ({100 * share:.2g}% after the first 1%)"
    text += f", {now}." if now else "."
    keys = [SKIPPED, *([SCALE] if scale else [])]
    first = int(skipped.first_over[0]) if is_bad else -1
    return case.verdict(WARN if is_bad else OK, text, values, keys, first_step=first)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D19",
    title="fp16 loss scale",
    question="Does fp16 skip steps?",
    definition="Steps skipped because of an overflow, after the first 1% of the run, and how often "
    "the loss scale was halved.",
    source="Megatron-LM loss-scale and skipped-train-samples",
    needs=(SKIPPED, SCALE),
    pitfalls="The initial search of the scale skips steps; bf16 and fp32 runs have no scale.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
