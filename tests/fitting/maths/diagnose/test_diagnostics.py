"""Each diagnostic: a planted case, a healthy control, and what it says when a key is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fitting.maths.diagnose.attention_entropy import find_largest_entropy
from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.catalogue import list_judged
from fitting.maths.diagnose.loss_shape import find_outcome
from fitting.maths.diagnose.panel import judge_all, update_all
from fitting.maths.diagnose.sharpness import find_edge
from fitting.maths.diagnose.verdict import Threshold, Verdict

DOCUMENT = Path(__file__).resolve().parents[4] / "docs/diagnostics.md"
STEPS = np.arange(10, 10_001, 10)
CONFIG = {
    "total_steps": 10_000,
    "warmup_steps": 500,
    "loss_at_init": 10.8,
    "clip": 1.0,
    "adam_eps": 1e-8,
    "seq_len": 64,
    "beta1": 0.9,
    "batch_tokens": 1024,
    "optimizer": "adamw",
}
NOISE = np.random.default_rng(0).normal(size=STEPS.size)
LOSS = 2.4 + 8.4 * (1 + STEPS / 40) ** -0.6 + 0.03 * NOISE


def judge(points: dict[str, object], **config: object) -> dict[str, Verdict]:
    run_config = RunConfig({**CONFIG, **config})
    series = {
        name: (STEPS, np.broadcast_to(np.asarray(values, float), STEPS.shape).copy())
        for name, values in points.items()
    }
    return judge_all(update_all({}, series, run_config), run_config)


def test_entropy_is_normalised_by_uniform_causal_attention() -> None:
    assert find_largest_entropy(64) == pytest.approx(3.206, abs=5e-4)


def test_stability_edge_of_adam_is_38_over_the_learning_rate() -> None:
    assert find_edge(0.01, 0.9) == pytest.approx(3800.0)


def test_collapsed_layer_is_a_warning_and_all_layers_are_critical() -> None:
    falling = np.where(STEPS < 4000, 2.5, 1e-3)
    some = judge({"attn.entropy.L0": falling, "attn.entropy.L1": 2.0})["attention_entropy"]
    every = judge({"attn.entropy.L0": falling, "attn.entropy.L1": falling})["attention_entropy"]
    assert (some.severity, some.values["n_low"]) == ("warn", 1)
    assert some.first_step == pytest.approx(4000, abs=40)
    assert every.severity == "critical"


def test_collapse_is_over_when_the_entropy_stayed_up_for_two_percent_of_the_run() -> None:
    collapsed = np.where((STEPS > 4000) & (STEPS < 8000), 1e-3, 2.5)
    once_up = np.where(STEPS[-1] == STEPS, 2.5, np.where(STEPS > 4000, 1e-3, 2.5))
    back = judge({"attn.entropy.L0": collapsed})["attention_entropy"]
    just_up = judge({"attn.entropy.L0": once_up})["attention_entropy"]
    assert back.severity == "watch"  # of the drop within 5% of the run
    assert (just_up.severity, just_up.first_step) == ("critical", pytest.approx(4000, abs=40))


def test_without_a_plan_twenty_points_have_to_stay_better() -> None:
    low = np.where(np.arange(STEPS.size) < STEPS.size - 19, 1e-3, 2.5)
    held = judge({"attn.entropy.L0": low}, total_steps=None)["attention_entropy"]
    assert held.severity == "critical"


def test_divergence_is_over_when_the_loss_stayed_back_for_two_percent_of_the_run() -> None:
    jump = np.where((STEPS > 5000) & (STEPS < 9900), 9.0, 0.0)
    held = judge({"loss.train": LOSS + jump})["loss_shape"]
    assert (held.severity, held.values["class"]) == ("critical", "fast_divergence")
    assert "which has to last" in held.sentence
    over = judge({"loss.train": LOSS + np.where(STEPS > 9400, 0.0, jump)})["loss_shape"]
    assert over.values["class"] == "slow_recovery"


def test_entropy_that_halves_quickly_is_watched() -> None:
    verdict = judge({"attn.entropy.L0": np.where(STEPS < 4000, 2.5, 1.0)})["attention_entropy"]
    assert verdict.severity == "watch"


def test_critical_logits_need_a_confirmation() -> None:
    large = {"attn.max_logit.L0": 5e4 * STEPS / STEPS[-1], "loss.train": LOSS}
    alone = judge(large)["attention_logits"]
    sound = judge(large | {"attn.entropy.L0": 2.0})["attention_logits"]
    sick = judge(large | {"attn.entropy.L0": 1e-4})["attention_logits"]
    assert (alone.severity, alone.confidence) == ("critical", "low")
    assert sound.severity == "warn"
    assert (sick.severity, sick.confidence) == ("critical", "high")


def test_fast_doubling_raises_the_band() -> None:
    half = STEPS <= 5000
    config = RunConfig(CONFIG)
    points = {"attn.max_logit.L0": (STEPS[half], 20 * np.exp(STEPS[half] / 5000))}
    slow = judge_all(update_all({}, points, config), config)["attention_logits"]
    points = {"attn.max_logit.L0": (STEPS[half], 2 * np.exp(STEPS[half] / 1500))}
    fast = judge_all(update_all({}, points, config), config)["attention_logits"]
    assert (slow.severity, fast.severity) == ("ok", "ok")
    points = {"attn.max_logit.L0": (STEPS[half], 0.02 * np.exp(STEPS[half] / 600))}
    racing = judge_all(update_all({}, points, config), config)["attention_logits"]
    assert racing.values["largest"] < 100
    assert racing.severity == "watch"


def test_late_one_sided_drift_of_log_z_is_a_warning() -> None:
    drift = 10.4 - np.where(STEPS > 7000, (STEPS - 7000) / 500, 0)
    verdict = judge({"logits.logz_mean": drift})["output_logits"]
    assert verdict.severity == "warn"
    assert verdict.first_step == pytest.approx(7000, abs=30)


def test_log_z_far_from_its_start_is_critical() -> None:
    verdict = judge({"logits.logz_mean": 10.4 - STEPS / 250})["output_logits"]
    assert verdict.severity == "critical"


def test_root_mean_square_of_log_z_is_a_proxy() -> None:
    verdict = judge({"logits.logz_sq": 108.0})["output_logits"]
    assert (verdict.severity, verdict.confidence) == ("ok", "medium")


def test_bf16_head_with_large_logits_is_critical() -> None:
    points = {"logits.logz_mean": 10.4, "logits.max": 300.0}
    assert judge(points, logits_dtype="bfloat16")["output_logits"].severity == "critical"
    assert judge(points, logits_dtype="float32")["output_logits"].severity == "ok"


@pytest.mark.parametrize(
    ("rms", "severity"), [(1e-5, "ok"), (5e-7, "watch"), (5e-8, "warn"), (5e-9, "critical")]
)
def test_gradient_near_epsilon_is_graded(rms: float, severity: str) -> None:
    verdict = judge({"grad.rms.block0.mlp_in": rms})["gradient_epsilon"]
    assert verdict.severity == severity
    assert verdict.values["ratio"] == pytest.approx(rms / 1e-8)


def test_gradients_of_embeddings_and_frozen_parameters_are_left_out() -> None:
    points = {"grad.rms.tok_emb": 1e-12, "grad.rms.frozen": 0.0, "grad.rms.mlp": 1e-4}
    assert judge(points)["gradient_epsilon"].values["metric"] == "grad.rms.mlp"


def test_epsilon_is_not_assumed() -> None:
    verdict = judge({"grad.rms.mlp": 1e-4}, adam_eps=None)["gradient_epsilon"]
    assert (verdict.severity, verdict.missing) == ("unknown", ("adam_eps",))


def test_many_spikes_are_a_warning_with_their_preset() -> None:
    loss = LOSS.copy()
    loss[[300, 400, 500, 600, 700, 800]] += 2
    verdict = judge({"loss.train": loss})["spike_score"]
    assert (verdict.severity, verdict.evidence.preset) == ("warn", "olmo-core")
    assert verdict.values["steps"] == STEPS[[300, 400, 500, 600, 700, 800]].tolist()


def test_short_series_has_no_spike_score() -> None:
    config = RunConfig(CONFIG)
    points = {"loss.train": (STEPS[:100], LOSS[:100])}
    verdict = judge_all(update_all({}, points, config), config)["spike_score"]
    assert (verdict.severity, verdict.sentence) == ("unknown", "needs 192 logged values, has 100")


def test_spikes_after_adam_events_are_linked() -> None:
    steps = np.arange(1, 4001)
    rng = np.random.default_rng(1)
    loss = 2.5 + rng.normal(0, 0.02, 4000)
    rms = np.ones(4000)
    for place in range(500, 4000, 300):
        rms[place] = 3.0
        loss[place + 4] += 1.0
    points = {"loss.train": (steps, loss), "adam.rms.emb": (steps, rms)}
    config = RunConfig({**CONFIG, "total_steps": 4000})
    verdict = judge_all(update_all({}, points, config), config)["adam_rms"]
    assert verdict.severity == "watch"
    assert verdict.values["n_after"] == 12


def test_coarse_adam_rms_cannot_resolve() -> None:
    verdict = judge({"loss.train": LOSS, "adam.rms.emb": 1.0})["adam_rms"]
    assert verdict.sentence == "logged every 10 steps, cannot resolve 8 steps"


def test_a_short_run_logged_at_every_step_is_not_coarse() -> None:
    steps = np.arange(50.0)
    config = RunConfig({**CONFIG, "total_steps": 50})
    points = {"loss.train": (steps, 4 * (steps + 1) ** -0.3)}
    verdict = judge_all(update_all({}, points, config), config)["evidence"]
    assert "coarsely" not in verdict.sentence
    every_fifth = {"loss.train": (5 * steps[:10], 4 * (steps[:10] + 1) ** -0.3)}
    verdict = judge_all(update_all({}, every_fifth, config), config)["evidence"]
    assert "1 metric is logged coarsely, loss.train every 5 steps" in verdict.sentence


def test_growing_updates_without_direction_are_a_warning() -> None:
    late = STEPS > 6000
    lost = judge({"update.norm": 1 + 2.0 * late, "update.cos_grad": np.where(late, 0.001, 0.1)})
    kept = judge({"update.norm": 1 + 2.0 * late, "update.cos_grad": 0.1})
    assert lost["update_alignment"].severity == "warn"
    assert lost["update_alignment"].first_step == pytest.approx(6000, abs=100)
    assert kept["update_alignment"].severity == "ok"


@pytest.mark.parametrize(("ratio", "severity"), [(0.5, "ok"), (1.5, "watch"), (3.0, "warn")])
def test_sustained_sharpness_is_graded(ratio: float, severity: str) -> None:
    points = {"curv.sharpness": 38 / 0.01 * ratio, "optim.lr": 0.01}
    assert judge(points)["sharpness"].severity == severity


def test_noise_scale_is_informational() -> None:
    verdict = judge({"gns.b_simple": 4096.0})["noise_scale"]
    assert (verdict.severity, verdict.values["ratio"]) == ("ok", 0.25)


def test_growing_block_output_is_a_warning() -> None:
    grown = judge({"act.rms.L0": (STEPS / 100.0) ** 0.8, "act.rms.L1": 1.0})["norm_growth"]
    flat = judge({"act.rms.L0": 1 + 0.01 * NOISE})["norm_growth"]
    assert (grown.severity, grown.values["layer"]) == ("warn", "act.rms.L0")
    assert flat.severity == "ok"


def test_clipping_is_a_warning_only_while_the_norm_rises() -> None:
    rising = judge({"optim.grad_norm": np.exp(STEPS / 10_000 + 0.1 * NOISE)})["clipping"]
    falling = judge({"optim.grad_norm": 3 * np.exp(-STEPS / 12_000 + 0.1 * NOISE)})["clipping"]
    assert rising.severity == "warn"
    assert falling.severity == "ok"
    assert falling.values["share"] > 0.5


def test_norm_that_was_clipped_before_logging_says_nothing() -> None:
    verdict = judge({"optim.grad_norm": 1.0})["clipping"]
    assert verdict.severity == "unknown"
    assert "logged after clipping" in verdict.sentence


def test_saturated_softmax_is_a_warning() -> None:
    assert judge({"logits.p_one_frac": STEPS / 10_000})["softmax_collapse"].severity == "warn"
    points = {"optim.grad_norm": np.where(STEPS < 5000, 1.0, 0.0), "logits.max": STEPS / 10.0}
    assert judge(points)["softmax_collapse"].first_step == pytest.approx(5000, abs=40)


def test_loss_scale_of_a_bf16_run_is_not_applicable() -> None:
    verdict = judge({"optim.step_skipped": 0.0}, dtype="bf16")["loss_scale"]
    assert verdict.sentence == "not applicable: the run computes in bf16"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [(0.0, "healthy"), (np.where(STEPS > 6000, 5.0, 0.0), "diverged"),
     (np.where(STEPS > 6000, np.nan, 0.0), "diverged")],
)  # fmt: skip
def test_class_of_the_loss_decides_the_outcome(change: object, outcome: str) -> None:
    assert find_outcome(judge({"loss.train": LOSS + change})["loss_shape"]) == outcome


def test_nothing_logged_makes_every_diagnostic_unknown_with_a_reason() -> None:
    verdicts = judge_all({}, RunConfig({}))
    assert {verdict.severity for verdict in verdicts.values()} == {"unknown"}
    assert all(verdict.sentence for verdict in verdicts.values())
    assert "loss.train" in verdicts["evidence"].missing


def test_project_threshold_is_in_force_and_named() -> None:
    own = Threshold("watch", 50.0, "largest attention logit", "set by ada on 2026-01-02")
    config = RunConfig(CONFIG, limits={"attention_logits": {"watch": own}})
    state = update_all({}, {"attn.max_logit.L0": (STEPS, np.full(STEPS.size, 60.0))}, config)
    verdict = judge_all(state, config)["attention_logits"]
    assert verdict.severity == "watch"
    assert own in verdict.thresholds
    assert verdict.first_step == STEPS[0]


def test_verdict_becomes_json_without_losing_its_thresholds() -> None:
    plain = judge({"loss.train": LOSS})["loss_shape"].to_dict()
    assert json.loads(json.dumps(plain))["thresholds"][0]["name"] == "excess"


@pytest.mark.parametrize("slug", list_judged())
def test_diagnostic_is_documented_with_its_thresholds(slug: str) -> None:
    item = list_judged()[slug]
    section = (
        DOCUMENT.read_text().partition(f"### {item.number} {item.title}")[2].partition("### ")[0]
    )
    assert f"`{slug}`" in section
    assert [t.name for t in item.thresholds if f"| `{t.name}` | {t.value:g} |" not in section] == []


def test_listing_diagnostics_loads_no_scipy() -> None:
    code = (
        "import sys; from fitting.maths.diagnose.catalogue import list_judged; "
        "assert list_judged(); "
        "bad = {'scipy', 'pandas', 'django'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
