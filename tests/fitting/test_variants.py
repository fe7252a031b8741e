"""Short names of variants, and which of many a figure draws."""

from __future__ import annotations

import math

import pytest

from fitting import contexts
from fitting.figures import build_figure
from fitting.queries import StudyView, view_study
from fitting.rows import StudyRow
from fitting.services import add_runs
from fitting.templatetags.variants import ZERO_WIDTH, breakable
from fitting.variants import (
    MANY,
    choose_drawn,
    describe_shared,
    list_undrawn,
    name_variants,
    place_variants,
)
from tests.fitting.factories import make_run, make_study, settle

BASE = "qk_norm=ln, z_loss_coef=0, adam_eps=1e-08"
Z_LOSS = "qk_norm=ln, z_loss_coef=0.0001, adam_eps=1e-08"
EPSILON = "qk_norm=ln, z_loss_coef=0, adam_eps=1e-15"
BOTH = "qk_norm=none, z_loss_coef=0, adam_eps=1e-06"


def test_a_variant_is_named_by_what_sets_it_apart() -> None:
    assert name_variants([BASE, Z_LOSS, EPSILON, BOTH, BASE]) == {
        BASE: "baseline",
        Z_LOSS: "z_loss_coef=0.0001",
        EPSILON: "adam_eps=1e-15",
        BOTH: "qk_norm=none, adam_eps=1e-06",
    }
    assert describe_shared([BASE, Z_LOSS, EPSILON]) == BASE


@pytest.mark.parametrize(
    "labels",
    [
        [""],
        ["qk_norm=ln", "qk_norm=none"],
        ["qk_norm=ln", "qk_norm=none", "qk_norm=rms"],
        ["a=1, b=1", "a=1, b=2", "a=2, b=1", "a=2, b=2"],
        ["a=1, b=1", "a=1, b=1, c=2", "a=1, b=2"],
    ],
)
def test_labels_that_share_nothing_keep_their_text(labels: list[str]) -> None:
    assert name_variants(labels) == {label: label for label in labels}
    assert describe_shared(labels) == ""


def test_short_names_tell_all_variants_apart() -> None:
    labels = [f"a={a}, b={b}, c={c}" for a in (1, 1, 2) for b in (1, 2, 3) for c in (7, 8)]
    names = name_variants([*labels, "a=1, b=1, c=9"])
    assert len(set(names.values())) == len(names)


def make_rows(counts: dict[str, int]) -> list[StudyRow]:
    """Runs of these variants, each at its own learning rate."""
    nan = math.nan
    return [
        StudyRow(
            run_id=1,
            uid=f"{label} {place}",
            name="run",
            n=1e6,
            d=nan,
            c=nan,
            lr=10.0**-place,
            batch=nan,
            seed=0.0,
            loss_at_init=5.8,
            loss=3.0,
            loss_metric="loss.val",
            loss_step=600,
            n_values=1,
            is_provisional=False,
            state="finished",
            outcome="unknown",
            diverged=False,
            excluded=False,
            exclusion_reason="",
            stamp="1.0.0",
            last_step=600,
            total_steps=600,
            choices={},
            variant=label,
        )
        for label, count in counts.items()
        for place in range(count)
    ]


def test_up_to_six_variants_are_all_drawn() -> None:
    labels = [f"a={place}" for place in range(MANY)]
    rows = make_rows(dict.fromkeys(labels, 1))
    assert (choose_drawn(rows), list_undrawn(rows, "a=1")) == (labels, set())


def test_of_more_variants_those_with_most_runs_are_drawn() -> None:
    rows = make_rows({"a=0": 2, "a=1": 9, "a=2": 3, **{f"a={n}": 1 for n in range(3, 8)}})
    assert choose_drawn(rows) == ["a=0", "a=1", "a=2"]
    assert list_undrawn(rows) == {f"a={n}" for n in range(3, 8)}


def test_a_chosen_variant_is_drawn_beside_the_one_with_most_runs() -> None:
    rows = make_rows({"a=1": 9, "a=2": 3, **{f"a={n}": 1 for n in range(3, 8)}})
    assert choose_drawn(rows, "a=7") == ["a=1", "a=7"]
    assert choose_drawn(rows, "a=99") == ["a=1", "a=2", "a=3"]


def test_a_variant_keeps_its_place_among_colours_as_runs_arrive() -> None:
    few = place_variants(make_rows({"a=1": 1, "a=2": 2}))
    assert few == place_variants(make_rows({"a=1": 9, "a=2": 2}))
    many = place_variants(make_rows({"a=5": 9, **{f"a={n}": 1 for n in range(5)}, "a=6": 1}))
    assert [label for label, place in many.items() if place == 0] == ["a=5"]
    assert max(many.values()) < MANY


@pytest.fixture
def ablated(transactional_db: None) -> StudyView:
    """A baseline of three learning rates, and seven changes to it of one run each."""
    study = make_study(variant_keys=["z_loss_coef", "adam_eps"])
    settings = [(0, eps) for eps in (1e-8, 1e-8, 1e-8, 1e-15)]
    settings += [(z, 1e-8) for z in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1)]
    runs = [
        make_run(study.project, peak_lr=lr, config={"z_loss_coef": z, "adam_eps": eps})
        for (z, eps), lr in zip(settings, (1e-3, 1e-2, 1e-1, *[1e-2] * 7), strict=True)
    ]
    add_runs(study, runs)
    settle()
    return view_study(study)


def test_pages_and_figures_use_the_short_names(ablated: StudyView) -> None:
    figure = build_figure("lr_loss", ablated, {"variant": "z_loss_coef=1, adam_eps=1e-08"}, "1")
    assert figure is not None
    legend = [trace["name"] for trace in figure["data"] if trace["showlegend"]]
    assert legend == ["baseline", "z_loss_coef=1"]
    assert (figure["counts"]["drawn"], figure["counts"]["undrawn"]) == (4, 6)
    assert "z_loss_coef=0.1, adam_eps=1e-08" in {row[1] for row in figure["table"]["rows"]}
    document = contexts.build_study(ablated, "lr", {})
    page = contexts.build_study_page(ablated, document, "lr", "")
    assert page["figures"][0]["option_keys"] == "ys variant"
    assert len(page["variant_links"]) == 8
    texts = [item["text"] for item in page["legend_variants"]]
    assert texts == ["baseline", "adam_eps=1e-15", "z_loss_coef=0.0001"]
    assert document["definition"][-1]["value"] == "z_loss_coef=0, adam_eps=1e-08"


def test_a_label_breaks_after_signs_only() -> None:
    pieces = breakable("weight_decay=0.1, coupled").split(ZERO_WIDTH)
    assert pieces == ["weight_", "decay=", "0.1,", " coupled"]
    assert breakable("baseline") == "baseline"
