"""Fits of CSV files: the command's reading, options and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitting.csv_fit import CsvFitError, FitRequest, describe_answer, run_request
from fitting.fit_report import describe_laws, render_laws_page, render_page, render_text
from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import OptionError
from tests.fitting.maths.reference import find_folder, read_chinchilla
from tests.fitting.maths.synthetic import make_rows

ROOT = Path(__file__).resolve().parents[3]
MAPPING = {"n_params": "params", "n_tokens": "tokens"}
DOCUMENTED = {
    *("law", "status", "refusal", "params", "intervals", "derived", "objective", "n"),
    *("n_excluded", "converged", "replicas_converged", "heldout", "seconds", "seed", "digest"),
}


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    rows = make_rows("chinchilla_parametric", 0.002)
    path = tmp_path / "runs.csv"
    columns = [rows.columns["n_params"], rows.columns["n_tokens"], rows.target]
    lines = ["params,tokens,loss,kind"]
    for place, values in enumerate(zip(*columns, strict=True)):
        kind = "odd" if place % 2 else "even"
        lines.append(",".join([*(repr(float(value)) for value in values), kind]))
    path.write_text("\n".join(lines) + "\n,,,\n")
    return path


@pytest.fixture
def request_of(csv_path: Path) -> FitRequest:
    return FitRequest("chinchilla_parametric", csv_path, MAPPING, "loss", replicas=50)


def describe(request: FitRequest) -> dict[str, object]:
    return describe_answer(run_request(request), request.seed)


def test_answer_has_the_documented_fields(request_of: FitRequest) -> None:
    plain = describe(request_of)
    assert set(plain) >= DOCUMENTED
    assert (plain["status"], plain["n"], plain["n_excluded"]) == ("fit", 56, 1)
    json.dumps(plain)


def test_refusal_has_the_documented_fields_too(request_of: FitRequest) -> None:
    plain = describe(replace(request_of, where="params < 1.1e7"))
    assert set(plain) >= DOCUMENTED
    assert (plain["status"], plain["objective"], plain["converged"]) == ("refused", None, False)
    json.dumps(plain)


def test_heldout_has_the_same_fields_with_and_without_rows(request_of: FitRequest) -> None:
    some = describe(request_of)["heldout"]
    none = describe(replace(request_of, where="params < 1.1e7"))["heldout"]
    assert isinstance(some, dict)
    assert isinstance(none, dict)
    assert set(none) - {"reason"} == set(some)
    assert (none["n"], none["rows"], none["mean_rel_error"]) == (0, [], None)


def test_rows_not_chosen_are_listed_with_the_expression(request_of: FitRequest) -> None:
    answer = run_request(replace(request_of, where="kind == 'even'"))
    exclusions = describe_answer(answer, 0)["exclusions"]
    assert isinstance(exclusions, list)
    assert (exclusions[0]["rule"], exclusions[0]["count"]) == ("where", 29)
    assert "kind == 'even'" in exclusions[0]["sentence"]
    assert "not chosen by --where" in render_text(answer)


def test_where_chooses_rows_by_column_role_and_symbol(request_of: FitRequest) -> None:
    assert describe(replace(request_of, where="kind == 'even'"))["n"] == 28
    assert describe(replace(request_of, where="n_params < 1e9 and D > 1e9"))["n"] == 24
    assert describe(replace(request_of, where="C < 1e20"))["n"] != 56


def test_holdout_chooses_the_rows_that_are_predicted(request_of: FitRequest) -> None:
    held_out = describe(replace(request_of, holdout="params > 5e9"))["heldout"]
    assert isinstance(held_out, dict)
    assert held_out["n"] == 8
    assert held_out["max_rel_error"] < 0.02


def test_holdout_without_rows_is_an_error(request_of: FitRequest) -> None:
    with pytest.raises(CsvFitError, match="no row is held out"):
        describe(replace(request_of, holdout="params > 1e30"))


def test_options_change_the_fit(request_of: FitRequest) -> None:
    first, second = describe(request_of), describe(replace(request_of, options={"delta": "0.1"}))
    assert first["objective"] != second["objective"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"law": "chinchila"}, "no law is called"),
        ({"target": "nothing"}, "no column 'nothing'"),
        ({"mapping": {"n_params": "size"}}, "no column 'size'"),
        ({"mapping": {"n_parameters": "params"}}, "no role 'n_parameters'"),
        ({"options": {"detla": "1"}}, "no option 'detla'"),
        ({"options": {"delta": "-1"}}, "delta of chinchilla_parametric is a number > 0, not -1"),
        ({"options": {"delta": "abc"}}, "is a number > 0, not 'abc'"),
        ({"options": {"delta": "nan"}}, "is a number > 0, not nan"),
        ({"options": {"budget": "true"}}, "is a number > 0, not True"),
        ({"path": Path("absent.csv")}, "there is no file"),
    ],
)
def test_mistakes_are_named(
    request_of: FitRequest, change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(CsvFitError, match=complaint):
        run_request(replace(request_of, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("law", "option", "allowed"),
    [
        ("isoflop", {"interpolant": "cubic"}, "one of parabola, akima"),
        ("lr_annealing", {"lambda": 2}, "a number > 0 and <= 1 or none"),
        ("chinchilla_envelope", {"window": 1.5}, "a whole number >= 1"),
        ("step_law_threshold", {"with_batch": 1}, "true or false"),
    ],
)
def test_a_wrong_option_says_which_values_there_are(
    law: str, option: dict[str, object], allowed: str
) -> None:
    with pytest.raises(OptionError, match=f"of {law} is {allowed}, not"):
        get_law(law).read_options(option)


def test_a_group_that_the_law_does_not_have_is_remarked(request_of: FitRequest) -> None:
    plain = describe(replace(request_of, group="kind"))
    assert "has no groups: --group kind changes nothing" in str(plain["warnings"])


def test_what_a_procedure_does_not_have_is_null(tmp_path: Path) -> None:
    plain = describe_sweep(tmp_path, 0)
    assert (plain["objective"], plain["replicas_converged"], plain["loss_noise"]) == (None,) * 3


def test_the_largest_scale_is_held_out_of_a_law_through_optima(tmp_path: Path) -> None:
    held_out = describe_sweep(tmp_path, 0)["heldout"]
    assert isinstance(held_out, dict)
    assert (held_out["n"], held_out["quantity"]) == (1, "peak_lr")
    assert held_out["rows"][0]["measured"] == pytest.approx(0.02 * 16**-0.75, rel=1e-6)
    assert held_out["max_rel_error"] < 1e-6
    bent = describe_sweep(tmp_path, 1)["heldout"]
    assert isinstance(bent, dict)
    assert bent["rows"][0]["rel_error"] == pytest.approx(-0.5, abs=1e-6)


def describe_sweep(folder: Path, octaves: float) -> dict[str, object]:
    """Return LR* against width, exact but for the widest, whose best is `octaves` too high."""
    lines = ["width,lr,loss"]
    for width in (128, 256, 512, 1024, 2048):
        best = np.log(0.02 * (width / 128) ** -0.75) + octaves * np.log(2) * (width == 2048)
        lines += [
            f"{width},{float(np.exp(best + step))!r},{3 + 0.08 * step**2!r}"
            for step in (-2, -1, 0, 1, 2)
        ]
    path = folder / "sweep.csv"
    path.write_text("\n".join(lines))
    mapping = {"width": "width", "peak_lr": "lr"}
    return describe(FitRequest("lr_optimum", path, mapping, "loss", replicas=0))


def test_refusal_is_an_answer_with_a_cure(request_of: FitRequest) -> None:
    plain = describe(replace(request_of, where="params < 1.1e7"))
    assert plain["status"] == "refused"
    assert isinstance(plain["refusal"], dict)
    assert "n_params spans a factor 1" in plain["refusal"]["sentence"]
    assert "refused (span)" in render_text(run_request(replace(request_of, where="params < 1.1e7")))


def test_any_single_column_serves_a_law_of_one_variable(tmp_path: Path) -> None:
    x = np.geomspace(1, 1e4, 12)
    path = tmp_path / "ladder.csv"
    lines = [f"{a!r},{b!r}" for a, b in zip(x.tolist(), (1.7 + x**-0.3).tolist(), strict=True)]
    path.write_text("\n".join(["compute,loss", *lines]))
    plain = describe(
        FitRequest("power_law_constant", path, {"flops": "compute"}, "loss", replicas=0)
    )
    assert isinstance(plain["params"], dict)
    assert plain["params"]["a"] == pytest.approx(0.3, rel=1e-6)


def test_golden_c1_from_the_file_itself() -> None:
    read_chinchilla()
    path = find_folder() / "chinchilla_svg.csv"
    request = FitRequest(
        "chinchilla_parametric", path, MAPPING, "loss", where="excluded_by_epoch == 0", replicas=0
    )
    plain = describe(request)
    assert plain["objective"] == pytest.approx(1.0182740178e-3, rel=1e-6)
    assert (plain["n"], plain["n_excluded"]) == (240, 5)


def test_page_holds_the_curve_and_the_report(request_of: FitRequest) -> None:
    page = render_page(run_request(request_of))
    assert "Chinchilla, approach 3" in page
    assert "tokens_per_parameter" in page


def test_list_names_every_law_with_roles_and_source() -> None:
    text = describe_laws()
    for law in list_laws().values():
        assert f"{law.slug}: {law.title}" in text
        assert law.source in text


def test_laws_page_is_what_the_registry_says() -> None:
    assert (ROOT / "docs/laws.md").read_text() == render_laws_page()
