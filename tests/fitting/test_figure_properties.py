"""Whatever a study holds, a figure is drawn: finite, complete, and with counts that add up."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.plots.lr_loss import draw_lr_loss
from fitting.rows import StudyRow

losses = st.one_of(
    st.floats(1.0, 12.0),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.5, 1e-30, 1e30]),
)
axes = st.one_of(
    st.sampled_from([1e-4, 1e-3, 1e-2, 0.1, 1.0, 1e6]),
    st.sampled_from([math.nan, 0.0, -1.0, math.inf, 1e-300, 1e300]),
)


@st.composite
def study_rows(draw: st.DrawFn) -> StudyRow:
    state = draw(st.sampled_from(["finished", "running", "failed"]))
    loss = draw(losses)
    return StudyRow(
        run_id=1,
        uid="run",
        name=draw(st.sampled_from(["run", "<b>", "\x00"])),
        n=draw(axes),
        d=math.nan,
        c=math.nan,
        lr=draw(axes),
        batch=math.nan,
        seed=draw(st.sampled_from([math.nan, 0.0, math.inf])),
        loss_at_init=draw(st.sampled_from([math.nan, 5.8, 0.0, math.inf, -2.0])),
        loss=loss,
        loss_metric=draw(st.sampled_from(["", "loss.val"])),
        loss_step=None,
        n_values=1,
        is_provisional=False,
        state=state,
        outcome="unknown",
        diverged=draw(st.booleans()),
        excluded=draw(st.booleans()),
        exclusion_reason="",
        stamp="1.0.0",
        last_step=draw(st.sampled_from([None, 0, 600])),
        total_steps=None,
        choices={},
        variant=draw(st.sampled_from(["", "a", "b"])),
    )


def count_points(figure: dict[str, object]) -> int:
    parts = ("healthy", "unfinished", "above", "diverged")
    return sum(len(trace["x"]) for trace in figure["data"] if trace["meta"]["part"] in parts)


@pytest.mark.parametrize("mode", ["log", "linear", "excess", "relative"])
@given(rows=st.lists(study_rows(), max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_figure_is_finite_and_its_counts_add_up(mode: str, rows: list[StudyRow]) -> None:
    figure = draw_lr_loss(rows, None, mode)
    json.dumps([figure["data"], figure["layout"]], allow_nan=False)
    hidden = sum(row.excluded or not row.has_axes or row.has_no_height for row in rows)
    off_axis = figure.get("nonpositive", 0) + figure.get("not_comparable", 0)
    assert count_points(figure) == figure["drawn"]
    assert figure["drawn"] + hidden + off_axis == len(rows)
