"""The client's read API against a real server: studies, fits, figures, runs, exports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

import scaledash
from fitting.models import Study
from scaledash.client import cli
from teams.models import Scope
from tests.fitting.factories import make_study, make_sweep, settle
from tests.teams.factories import get_user, make_project, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(live_web: str) -> Study:
    project = make_project("alpha", ann="editor")
    study = make_study(project, "sweep")
    make_sweep(study, {"ln": 0.05, "none": 0.08})
    settle()
    return study


@pytest.fixture
def api(live_web: str, study: Study) -> scaledash.Api:
    return scaledash.Api(live_web, make_token(get_user("ann"), Scope.READ))


def test_studies_are_found_by_project_and_slug(api: scaledash.Api, live_web: str) -> None:
    assert [study.slug for study in api.studies("alpha")] == ["sweep"]
    study = api.study("alpha/sweep")
    assert (study.project, study.url) == ("alpha", f"{live_web}/p/alpha/s/sweep")


def test_absent_study_names_those_there_are(api: scaledash.Api) -> None:
    with pytest.raises(scaledash.NotFound, match="it has: sweep"):
        api.study("alpha/absent")


def test_rows_and_grid_are_what_the_study_reads(api: scaledash.Api) -> None:
    study = api.study("alpha/sweep")
    frame = study.runs()
    assert len(frame) == 42
    assert sorted(frame["variant"].unique()) == ["qk_norm=ln", "qk_norm=none"]
    assert math.isnan(study.rows()[0]["d"])
    assert (len(study.grid()["lrs"]), study.excluded()) == (7, [])


def test_fit_of_the_exponent_tells_value_interval_and_version(api: scaledash.Api) -> None:
    study = api.study("alpha/sweep")
    fit = study.fit("lr_exponent", "qk_norm=ln")
    assert fit.refusal is None
    assert fit.params is not None
    interval = fit.intervals["exponent"]
    assert interval is not None
    low, high = interval
    assert low < fit.params["exponent"] < high < 0
    assert (fit.n, fit.seed) == (3, 0)
    assert fit.version == study.history("lr_sweep")[0]["version"]
    assert study.fit("lr_exponent", "qk_norm=ln", version=1).version == 1


def test_predicted_learning_rate_follows_the_law(api: scaledash.Api) -> None:
    fit = api.study("alpha/sweep").fit("lr_exponent", "qk_norm=ln")
    assert fit.params is not None
    size = math.sqrt(fit.document["x"][0] * fit.document["x"][-1])
    found = fit.predict(N=size)["lr"]
    law = math.exp(fit.params["log_intercept"] + fit.params["exponent"] * math.log(size))
    assert found.value == pytest.approx(law, rel=1e-9)
    assert found.low < found.value < found.high


def test_prediction_outside_of_the_stored_curve_is_refused(api: scaledash.Api) -> None:
    fit = api.study("alpha/sweep").fit("lr_exponent", "qk_norm=ln")
    with pytest.raises(scaledash.UsageError, match="outside"):
        fit.predict(N=1e30)
    with pytest.raises(scaledash.UsageError, match="N="):
        fit.predict(C=1e20)


def test_refused_fit_says_why_and_has_no_parameters(api: scaledash.Api) -> None:
    fit = api.study("alpha/sweep").fit("parametric", "qk_norm=ln")
    assert fit.params is None
    assert fit.refusal
    assert fit.delta == 1e-3
    with pytest.raises(scaledash.UsageError, match="compute_optimal of all runs"):
        fit.predict(C=1e20)


def test_fit_of_several_variants_asks_which(api: scaledash.Api) -> None:
    with pytest.raises(scaledash.UsageError, match="qk_norm=ln"):
        api.study("alpha/sweep").fit("lr_exponent")


def test_figure_is_the_one_of_the_page(api: scaledash.Api) -> None:
    study = api.study("alpha/sweep")
    document = study.figure_document("lr_loss")
    figure = study.figure("lr_loss")
    assert len(figure.data) == len(document["data"]) > 0
    assert figure.layout.xaxis.type == "log"
    assert all(study.figure_document(name)["plot"] == name for name in study.figures())


def test_filters_of_wandb_find_the_same_runs(api: scaledash.Api) -> None:
    ours = api.runs("alpha", filter="lr >= 1e-2 and config.qk_norm = ln")
    theirs = api.runs(
        "team/alpha",
        filters={"config.qk_norm": "ln", "peak_lr": {"$gte": 1e-2}},
        order="-created_at",
    )
    assert len(ours) > 0
    assert sorted(run.id for run in ours) == sorted(run.id for run in theirs)


def test_table_of_runs_holds_facts_config_and_last_values(api: scaledash.Api) -> None:
    frame = api.runs("alpha", limit=5).frame()
    assert len(frame) == 5
    assert {"peak_lr", "config.qk_norm", "summary.loss.val", "state"} <= set(frame.columns)


def test_export_writes_a_whole_file(api: scaledash.Api, tmp_path: Path) -> None:
    path = tmp_path / "alpha.jsonl"
    size = api.export("alpha", path, what="runs")
    assert path.stat().st_size == size
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 42
    assert list(tmp_path.iterdir()) == [path]


def test_refused_export_leaves_no_file(api: scaledash.Api, tmp_path: Path) -> None:
    with pytest.raises(scaledash.Refused, match="character"):
        api.export("alpha", tmp_path / "x.csv", format="csv", filter="lr >")
    with pytest.raises(scaledash.NotFound):
        api.export("absent", tmp_path / "x.csv", format="csv")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def scaledash_command(
    api: scaledash.Api, live_web: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Run `scaledash` on the command line."""
    monkeypatch.setenv("SCALEDASH_URL", live_web)
    monkeypatch.setenv("SCALEDASH_TOKEN", make_token(get_user("ann"), Scope.READ))
    return lambda *arguments: cli.main(arguments)


def test_command_shows_a_study_and_its_fits(
    scaledash_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaledash_command("study", "alpha/sweep") == 0
    assert "lr_exponent" in capsys.readouterr().out
    assert scaledash_command("study", "alpha", "--json") == 0
    assert [study["slug"] for study in json.loads(capsys.readouterr().out)] == ["sweep"]


def test_command_predicts_from_a_fit(
    scaledash_command: Callable[..., int], api: scaledash.Api, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = api.study("alpha/sweep").fit("lr_exponent", "qk_norm=ln")
    size = fit.document["x"][0]
    arguments = ("fit", "alpha/sweep", "--variant", "qk_norm=ln", "--n", str(size), "--json")
    assert scaledash_command(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["params"] == fit.params
    assert document["predicted"]["lr"]["value"] == fit.predict(N=size)["lr"].value


def test_command_ends_with_3_where_the_fit_is_refused(
    scaledash_command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaledash_command("fit", "alpha/sweep", "parametric", "--variant", "qk_norm=ln") == 3
    assert "refused" in capsys.readouterr().out


def test_command_exports_a_study_and_a_project(
    scaledash_command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaledash_command("export", "alpha/sweep", "-o", str(tmp_path), "--json") == 0
    paths = [Path(item["path"]) for item in json.loads(capsys.readouterr().out)]
    assert {path.name.rpartition("-")[2] for path in paths} == {
        *("runs.json", "exclusions.json", "fits.json", "figures.json")
    }
    assert all(json.loads(path.read_text()) is not None for path in paths)
    assert scaledash_command("export", "alpha", "--format", "csv", "-o", str(tmp_path)) == 0
    assert len((tmp_path / "alpha-runs.csv").read_text().splitlines()) == 43
