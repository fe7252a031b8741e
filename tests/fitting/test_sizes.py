"""Which numbers of parameters are one size."""

from __future__ import annotations

from fitting.palette import place_sizes
from fitting.queries import build_coverage
from fitting.rows import read_rows
from fitting.services import add_runs
from fitting.sizes import group_sizes
from tests.fitting.factories import make_run, make_study


def test_a_few_gains_make_no_other_size() -> None:
    assert group_sizes([9_328, 9_424, 37_088, 37_184]) == {
        9_328: 9_328,
        9_424: 9_328,
        37_088: 37_088,
        37_184: 37_088,
    }


def test_sizes_of_a_fine_sweep_stay_apart() -> None:
    assert set(group_sizes([100.0, 104.0, 108.2]).values()) == {100.0, 104.0, 108.2}


def test_one_size_has_one_colour() -> None:
    places = place_sizes([9_328, 9_424, 37_088])
    assert places[9_328] == places[9_424] == 0.0
    assert places[37_088] == 1.0


def test_variants_of_one_size_share_a_row_of_the_coverage(db: None) -> None:
    study = make_study()
    sizes = (9_328, 9_424, 37_088)
    add_runs(study, [make_run(study.project, n_params_non_embedding=n) for n in sizes])
    assert build_coverage(read_rows(study).rows)["scales"] == [9_328, 37_088]
