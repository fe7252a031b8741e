"""P4: one panel a learning rate with the project's thresholds; log Z beside it."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from fitting.maths.instability import InstabilitySettings, RunCurve, analyse_instability
from fitting.plots.instability import draw_gradient_rms, draw_logit_forecast
from fitting.plots.instability_curves import draw_attention_logits, draw_log_z
from scaledash.lib.jsonsafe import make_safe

STEPS = (0, 10, 100, 200)
BANDS = (50.0, 500.0, 5000.0)


def make_curve(n: float, lr: float, top: float, variant: str = "off") -> RunCurve:
    logits = (1.0, 2.0, top / 2, top)
    return RunCurve(
        run=f"{variant}-{n:g}-{lr:g}",
        n=n,
        lr=lr,
        variant=variant,
        total_steps=200.0,
        form="attn.max_logit",
        steps=STEPS,
        logits=logits,
        logz_steps=STEPS,
        logz=(5.9, 6.0, 6.1, float("nan")),
    )


def analyse(rates: dict[float, float]) -> dict[str, object]:
    """Return the stored result of three sizes at each learning rate, whose logits reach a top."""
    curves = [
        make_curve(n, lr, top * n / 1e5, variant)
        for lr, top in rates.items()
        for n in (1e4, 3e4, 1e5)
        for variant in ("off", "on")
    ]
    return make_safe(analyse_instability(curves, InstabilitySettings(bands=BANDS)).to_dict())


def titles(figure: dict[str, object]) -> list[str]:
    notes = figure["layout"]["annotations"]
    return [note["text"] for note in notes if str(note.get("yref", "")).endswith("domain")]


def test_every_learning_rate_has_a_panel() -> None:
    figure = draw_attention_logits(analyse({0.01: 20.0, 0.1: 1e4}))
    assert titles(figure) == ["LR 0.01", "LR 0.1"]
    axes = {trace["xaxis"] for trace in figure["data"] if trace["meta"]["part"] == "curve"}
    assert axes == {"x", "x2"}


def test_learning_rates_below_the_first_band_share_a_panel_where_there_are_many() -> None:
    quiet = {10.0**-power: 20.0 for power in range(3, 8)}
    figure = draw_attention_logits(analyse({**quiet, 0.1: 60.0, 0.3: 1e4}))
    assert titles(figure) == ["LR 1e-7 to 0.001, all below 50", "LR 0.1", "LR 0.3"]


def test_lines_are_the_thresholds_in_force_and_the_last_zone_is_shaded() -> None:
    figure = draw_attention_logits(analyse({0.01: 20.0, 0.1: 1e4}))
    shapes = figure["layout"]["shapes"]
    lines = [shape["y0"] for shape in shapes if shape["type"] == "line"]
    zones = [shape for shape in shapes if shape["type"] == "rect"]
    assert lines == [*BANDS, *BANDS]
    assert [zone["y0"] for zone in zones] == [5000.0, 5000.0]
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert {"watch 50", "warn 500", "critical 5e3"} <= set(texts)


def test_every_run_is_drawn_once() -> None:
    figure = draw_attention_logits(analyse({0.01: 20.0, 0.1: 1e4}))
    shown = {run for trace in figure["data"] for run, _ in trace.get("customdata", []) if run}
    assert len(shown) == figure["drawn"] == 12


def test_crossing_is_forecast_at_the_last_threshold() -> None:
    result = analyse({0.1: 1e3})
    assert result["limit"] == 5000.0
    assert "reach 5000" in result["forecasts"][0]["sentence"]


@pytest.mark.parametrize(
    "draw",
    [
        draw_attention_logits,
        draw_log_z,
        lambda result: draw_logit_forecast(result, "N"),
        lambda result: draw_gradient_rms(result, "N"),
    ],
)
def test_plotly_accepts_the_figure_and_an_empty_one(draw: object) -> None:
    full, empty = draw(analyse({0.01: 20.0, 0.1: 1e4})), draw(None)
    go.Figure({"data": full["data"], "layout": full["layout"]})
    assert (empty["data"], empty["drawn"]) == ([], 0)


def test_log_z_that_is_not_finite_breaks_the_line() -> None:
    figure = draw_log_z(analyse({0.1: 1e3}))
    assert None in figure["data"][0]["y"]
    assert figure["drawn"] == 6
