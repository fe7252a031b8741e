"""Verdicts on the runs of a study together: planted, healthy, and with something missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.diagnose.study_lr import judge_sweep
from fitting.maths.diagnose.study_runs import (
    RunFacts,
    judge_comparability,
    judge_singular_values,
    judge_stalled,
)
from fitting.maths.diagnose.study_trends import judge_forecasts, judge_gradients
from fitting.maths.diagnose.verdict import Threshold
from fitting.maths.instability import InstabilitySettings, RunCurve, analyse_instability
from fitting.maths.lr_sweep import LrSweepTable, analyse_lr_sweep

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SIZES = (1e4, 1e5, 1e6)


def sweep(best: dict[float, float], unstable_from: float = 1.0) -> LrSweepTable:
    """Return a grid with a parabola around the best rate of each size."""
    rows = [
        (n, lr, 2.5 + 0.1 * np.log(lr / best[n]) ** 2 + 3.0 * (lr >= unstable_from))
        for n in best
        for lr in RATES
    ]
    n, lr, loss = (np.array(column) for column in zip(*rows, strict=True))
    size = len(rows)
    return LrSweepTable(
        run_ids=tuple(f"r{place}" for place in range(size)),
        scale=n,
        variant=("",) * size,
        peak_lr=lr,
        loss=loss,
        loss_at_init=np.full(size, 9.0),
        seed=np.zeros(size),
        finished=np.ones(size, dtype=bool),
        diverged=lr >= unstable_from,
    )


def judge(table: LrSweepTable) -> dict[str, object]:
    return {item.diagnostic: item for item in judge_sweep(analyse_lr_sweep(table), {})}


def test_falling_best_rate_is_named_and_inside_the_grid() -> None:
    found = judge(sweep(dict(zip(SIZES, (2e-2, 1e-2, 5e-3), strict=True))))["lr_drift"]
    assert (found.severity, found.values["exponent"]) == ("ok", pytest.approx(-0.301, abs=0.01))
    assert "0 of 3 sizes at the grid edge" in found.sentence


def test_best_rate_at_the_edge_of_the_grid_warns() -> None:
    found = judge(sweep(dict(zip(SIZES, (1e-2, 5e-3, 1e-5), strict=True))))["lr_drift"]
    assert (found.severity, found.values["at_edge"]) == ("warn", [1e6])


def test_stable_rate_next_to_the_best_one_is_watched() -> None:
    best = dict.fromkeys(SIZES, 1e-2)
    near, far = judge(sweep(best, 3e-2))["stable_lr"], judge(sweep(best))["stable_lr"]
    assert (near.severity, near.values["by_size"][-1]) == ("watch", [1e6, 0.01, 0.01])
    assert "Highest stable LR 0.01 at N = 1e+06, 0 grid steps above" in near.sentence
    assert far.severity == "watch"  # 0.03 is 0.12 nats above the best one: beyond the excess


def test_sensitivity_has_a_verdict_or_a_reason() -> None:
    found = judge(sweep(dict.fromkeys(SIZES, 1e-2)))["lr_sensitivity"]
    assert found.severity in ("ok", "unknown")
    assert found.sentence


def run(n: float, lr: float, loss: float, **more: object) -> RunFacts:
    return RunFacts(f"{n:g}-{lr:g}", n, lr, "", loss, "loss.val", **more)


SWEEP = (run(1e4, 1e-3, 2.9), run(1e4, 1e-2, 2.5), run(1e4, 1e-1, 2.6))


def test_run_far_above_its_neighbours_at_a_larger_rate_is_stalled_high() -> None:
    found = judge_stalled((*SWEEP, run(1e4, 0.3, 3.4)), {})
    assert (found.severity, found.values["runs"]) == ("warn", ["10000-0.3"])
    assert "0.90 nats above the best" in found.sentence


def test_run_as_high_at_a_lower_rate_is_undertrained_unless_attention_is_sick() -> None:
    calm = judge_stalled(SWEEP, {})
    assert (calm.severity, calm.values["n_undertrained"]) == ("ok", 1)
    sick = judge_stalled((replace(SWEEP[0], is_sick=True), *SWEEP[1:]), {})
    assert sick.severity == "warn"


def test_diverged_and_single_runs_are_compared_with_nothing() -> None:
    found = judge_stalled((SWEEP[0], run(1e4, 0.3, 9.0, is_diverged=True), run(1e5, 1.0, 9.0)), {})
    assert found.severity == "unknown"


def wide(width: float, sv: float, lr: float = 1e-2) -> RunFacts:
    top = {"param.top_sv.mlp": sv}
    return RunFacts(f"w{width}", width, lr, "", width=width, weight_decay=0.1, top_sv=top)


def test_singular_value_that_follows_the_law_is_right_and_one_that_does_not_warns() -> None:
    law = [wide(width, 3.0 * np.sqrt(lr / 0.1) * width**0.75, lr)
           for width, lr in ((64, 1e-2), (128, 1e-2), (256, 3e-3))]  # fmt: skip
    assert judge_singular_values(law, {}).severity == "ok"
    found = judge_singular_values(
        [*law[:2], replace(law[2], top_sv={"param.top_sv.mlp": 99.0})], {}
    )
    assert found.severity == "warn"
    assert "Top singular value of mlp drifts" in found.sentence


def test_singular_values_that_cannot_be_judged_say_why() -> None:
    assert judge_singular_values(SWEEP, {}).sentence == "not logged: param.top_sv.*"
    one = judge_singular_values([wide(64, 1.0)], {})
    assert one.sentence == "needs 2 widths of one variant, has 1"
    lost = judge_singular_values([replace(wide(64, 1.0), weight_decay=None)], {})
    assert lost.sentence == "not in the config: width, weight_decay"


def test_losses_of_mixed_meaning_warn_and_other_differences_are_watched() -> None:
    assert judge_comparability(SWEEP, {}).severity == "ok"
    mixed = judge_comparability((*SWEEP, replace(SWEEP[0], loss_key="loss.total")), {})
    assert mixed.severity == "warn"
    assert "loss.val (3 runs), loss.total (1 runs)" in mixed.sentence
    uneven = [replace(item, cadence=gap) for item, gap in zip(SWEEP, (1, 1, 10), strict=True)]
    assert judge_comparability(uneven, {}).severity == "watch"
    larger = (replace(SWEEP[0], batch_tokens=4096.0), replace(SWEEP[1], batch_tokens=65536.0))
    assert "batch_tokens 4096 to 65536" in judge_comparability(larger, {}).sentence


def grow(power: float, rms: float = 1.0) -> list[RunCurve]:
    steps = (100, 200)
    return [
        RunCurve(f"r{n:g}", n, 0.1, "", 200.0, "attn.max_logit", steps,
                 (n**power / 100, n**power / 100), gradient_rms={"grad.rms.mlp": rms / n},
                 adam_eps=1e-8)
        for n in SIZES
    ]  # fmt: skip


def test_crossing_near_the_runs_is_watched_and_one_before_the_target_warns() -> None:
    near = analyse_instability(grow(1.0)[:3], InstabilitySettings()).verdicts[0]
    assert near.diagnostic == "logit_forecast"
    near = analyse_instability(grow(0.95), InstabilitySettings()).verdicts[0]
    assert near.severity == "watch"
    reached = analyse_instability(grow(0.95), InstabilitySettings(target=1e9)).verdicts[0]
    assert reached.severity == "warn"
    assert "target lies beyond" in reached.sentence
    assert judge_forecasts((), "needs 3 sizes", {}).sentence == "needs 3 sizes"


def test_gradient_that_meets_epsilon_within_a_decade_warns() -> None:
    near = analyse_instability(grow(0.1, 3e-2), InstabilitySettings()).verdicts[1]
    assert (near.diagnostic, near.severity) == ("epsilon_trend", "warn")
    assert judge_gradients((), {}).severity == "unknown"


def test_threshold_of_the_project_is_in_force() -> None:
    own = Threshold("excess", 1.5, "nats above the best run", "set by ada on 2026-01-02")
    found = judge_stalled((*SWEEP, run(1e4, 0.3, 3.4)), {"stalled_runs": {"excess": own}})
    assert (found.severity, found.thresholds) == ("ok", (own,))
