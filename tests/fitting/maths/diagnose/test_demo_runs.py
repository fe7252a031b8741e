"""The demo's real runs: what QK-norm prevents is flagged without it, at the right step."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.panel import judge_all, update_all
from fitting.maths.diagnose.verdict import Verdict

FILE = Path(__file__).resolve().parents[4] / "demo/data/runs.jsonl.gz"
WIDTHS = (16, 32, 48, 64, 96, 128)


@cache
def read_runs() -> dict[str, dict[str, object]]:
    with gzip.open(FILE) as lines:
        rows = [json.loads(line) for line in lines]
    return {row["name"]: row for row in rows if row["group"] == "A1" and row["name"].endswith("s0")}


@cache
def judge_run(name: str) -> dict[str, Verdict]:
    row = read_runs()[name]
    points = {
        key: (np.array(its["steps"]), np.array([float(value) for value in its["values"]]))
        for key, its in row["metrics"].items()
    }
    config = RunConfig(row["config"])
    return judge_all(update_all({}, points, config), config)


def judge_sweep(slug: str, lr: str, qk_norm: str) -> list[str]:
    names = [f"A1-d{width}-lr{lr}-qk-{qk_norm}-s0" for width in WIDTHS]
    return [judge_run(name)[slug].severity for name in names]


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        ("0.001", ["ok"] * 6),
        ("0.01", [*["ok"] * 5, "watch"]),
        ("0.03", ["ok", "ok", "watch", "watch", "warn", "warn"]),
        ("0.1", ["watch", "warn", *["critical"] * 4]),
        ("0.3", ["critical"] * 6),
    ],
)
def test_attention_logits_grow_with_size_and_rate_without_qk_norm(
    lr: str, expected: list[str]
) -> None:
    assert judge_sweep("attention_logits", lr, "off") == expected


@pytest.mark.parametrize("lr", ["0.0003", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3"])
def test_attention_logits_stay_small_with_qk_norm(lr: str) -> None:
    assert judge_sweep("attention_logits", lr, "on") == ["ok"] * 6


def test_flag_is_raised_at_the_step_that_crosses_the_threshold() -> None:
    name = "A1-d128-lr0.1-qk-off-s0"
    metrics = read_runs()[name]["metrics"]
    crossings = [
        step
        for layer in range(3)
        for series in [metrics[f"attn.max_logit.L{layer}"]]
        for step, value in zip(series["steps"], series["values"], strict=True)
        if value > 1e4
    ]
    verdict = judge_run(name)["attention_logits"]
    assert (verdict.severity, verdict.first_step) == ("critical", min(crossings))


def test_entropy_collapses_only_without_qk_norm() -> None:
    assert set(judge_sweep("attention_entropy", "0.1", "off")) == {"warn", "critical"}
    assert set(judge_sweep("attention_entropy", "0.1", "on")) == {"ok"}


def test_output_logits_are_silent_everywhere() -> None:
    assert {judge_run(name)["output_logits"].severity for name in read_runs()} == {"ok"}


def test_no_run_of_the_sweep_counts_as_diverged() -> None:
    classes = {judge_run(name)["loss_shape"].values["class"] for name in read_runs()}
    assert classes <= {"healthy", "undertrained", "stalled_high"}


def test_runs_that_fail_without_qk_norm_are_stalled_high() -> None:
    names = [f"A1-d{width}-lr0.3-qk-off-s0" for width in WIDTHS]
    assert {judge_run(name)["loss_shape"].values["class"] for name in names} == {"stalled_high"}
