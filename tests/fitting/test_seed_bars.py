"""Noise of seeds in the plot of the sweep."""

from __future__ import annotations

import pytest

from fitting.figures import build_figure
from fitting.queries import view_study
from fitting.services import add_runs
from tests.fitting.factories import LRS, SIZES, make_run, make_study, make_sweep, settle


def test_a_bar_spans_the_losses_of_the_seeds(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    run = study.runs.get(config__qk_norm="none", peak_lr=LRS[2], n_params_non_embedding=SIZES[0])
    loss = run.summary["loss.val"]["last"]
    shape = {"n_params_non_embedding": SIZES[0], "peak_lr": LRS[2], "config": run.config}
    add_runs(study, [make_run(study.project, loss + 0.2, **shape)])
    settle()
    figure = build_figure("lr_loss", view_study(study), {}, "1")
    lines = [trace for trace in figure["data"] if trace["meta"]["part"] == "line"]
    bars = [(line, line["error_y"]) for line in lines]
    spans = [(line, bar) for line, bar in bars if any(bar["array"])]
    assert len(spans) == 1
    (line, bar) = spans[0]
    place = line["x"].index(LRS[2])
    assert (bar["array"][place], bar["arrayminus"][place]) == pytest.approx((0.1, 0.1))
    assert sum(bar["array"]) == bar["array"][place]
