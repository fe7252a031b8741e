"""The client's read API against a real server: studies, fits, figures, runs, exports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

import scaledash
from fitting.figures import FIGURES
from fitting.models import Study
from fitting.queries import ANALYSES
from scaledash.client import cli
from teams.models import Scope
from tests.fitting.factories import make_isoflops, make_run, make_study, make_sweep, settle
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import get_user, make_project, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def sweep(live_web: str) -> Study:
    """A study whose runs are stored and which nobody has fitted."""
    study = make_study(make_project("alpha", ann="editor"), "sweep")
    make_sweep(study, {"ln": 0.05, "none": 0.08})
    return study


@pytest.fixture
def study(sweep: Study) -> Study:
    """The same, fitted."""
    settle()
    return sweep


@pytest.fixture
def api(live_web: str, sweep: Study) -> scaledash.Api:
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


def test_laws_tell_themselves_and_predict_or_say_why_not(study: Study, api: scaledash.Api) -> None:
    remote = api.study("alpha/sweep")
    fit = remote.fit("lr_exponent", "qk_norm=ln")
    assert fit.refusal is None
    assert fit.params is not None
    interval = fit.intervals["exponent"]
    assert interval is not None
    assert interval[0] < fit.params["exponent"] < interval[1] < 0
    assert (fit.n, fit.seed) == (3, 0)
    assert fit.version == remote.history("lr_sweep")[0]["version"]
    assert remote.fit("lr_exponent", "qk_norm=ln", version=1).version == 1
    size = math.sqrt(fit.document["x"][0] * fit.document["x"][-1])
    found = fit.predict(N=size)["lr"]
    law = math.exp(fit.params["log_intercept"] + fit.params["exponent"] * math.log(size))
    assert found.value == pytest.approx(law, rel=1e-9)
    assert found.low < found.value < found.high
    with pytest.raises(scaledash.UsageError, match="outside"):
        fit.predict(N=1e30)
    with pytest.raises(scaledash.UsageError, match="N="):
        fit.predict(C=1e20)
    with pytest.raises(scaledash.UsageError, match="qk_norm=ln"):
        remote.fit("lr_exponent")
    refused = remote.fit("parametric", "qk_norm=ln")
    assert refused.params is None
    assert refused.refusal
    assert refused.delta == 1e-3
    with pytest.raises(scaledash.UsageError, match="compute_optimal of all runs"):
        refused.predict(C=1e20)


def test_client_knows_every_live_analysis_and_a_law_of_each(
    study: Study, api: scaledash.Api
) -> None:
    remote = api.study("alpha/sweep")
    assert remote.analyses == ANALYSES
    told = {fit.about["analysis"] for fit in remote.fits()}
    assert told == set(ANALYSES)


def test_a_place_that_no_prediction_has_is_named(study: Study, api: scaledash.Api) -> None:
    with pytest.raises(scaledash.UsageError, match="'n' is no place; say N, D, C, lr"):
        api.study("alpha/sweep").predict("optimal_lr", n=590_000)


def test_study_predicts_freezes_and_lists_forecasts(live_web: str, study: Study) -> None:
    writer = scaledash.Api(live_web, make_token(get_user("ann"), Scope.ADMIN))
    reader = scaledash.Api(live_web, make_token(get_user("ann"), Scope.READ))
    (shown,) = reader.studies("alpha")
    found = shown.predict("optimal_lr", N=590_000, variant="qk_norm=ln")
    assert found.low < found.value < found.high
    assert found.extrapolated
    with pytest.raises(scaledash.Refused, match="no law of this study"):
        shown.predict("loss", N=1e6, D=1e7)
    with pytest.raises(scaledash.AuthError):
        reader.study("alpha/sweep").freeze("optimal_lr", N=590_000, variant="qk_norm=ln")
    frozen = writer.study("alpha/sweep").freeze("optimal_lr", N=590_000, variant="qk_norm=ln")
    assert (frozen.prediction, frozen.created_by, frozen.score) == (found, "ann", None)
    assert frozen.target == {"variant": "qk_norm=ln", "n_params": 590_000.0}
    assert shown.forecasts() == [frozen]


def test_parametric_law_predicts_the_loss_of_a_run(live_web: str) -> None:
    study = make_study(make_project("alpha", ann="editor"), "budgets")
    make_isoflops(study)
    settle()
    api = scaledash.Api(live_web, make_token(get_user("ann"), Scope.READ))
    fit = api.study("alpha/budgets").fit("parametric")
    found = fit.predict(N=333_000, D=1_270_000)["loss"]
    assert fit.params is not None
    law = [fit.params[name] for name in ("E", "A", "alpha", "B", "beta")]
    expected = law[0] + law[1] / 333_000 ** law[2] + law[3] / 1_270_000 ** law[4]
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.low < found.value < found.high
    oldest = api.study("alpha/budgets").fit("parametric", version=1)
    with pytest.raises(scaledash.UsageError, match="newest"):
        oldest.predict(N=333_000, D=1_270_000)


def test_figure_is_the_one_of_the_page(api: scaledash.Api) -> None:
    remote = api.study("alpha/sweep")
    document = remote.figure_document("lr_loss")
    figure = remote.figure("lr_loss")
    assert len(figure.data) == len(document["data"]) > 0
    assert figure.layout.xaxis.type == "log"
    assert remote.figures() == tuple(FIGURES)
    assert all(remote.figure_document(name)["plot"] == name for name in remote.figures())


def test_sampled_history_keeps_extremes_and_what_is_not_finite(live_web: str) -> None:
    project = make_project("alpha", ann="editor")
    job = Job(make_api(project), make_run(project, None, uid="long", state="running"))
    values: list[object] = [1 / (step + 1) for step in range(5_000)]
    values[1_234], values[2_345], values[3_456] = 99.0, "NaN", -7.0
    job.log(range(5_000), metrics={"curve": values})
    run = scaledash.Api(live_web, make_token(get_user("ann"), Scope.READ)).run("alpha/long")
    frame = run.history(["curve"], samples=40)
    assert {key: frame.attrs[key] for key in ("points_total", "method")} == {
        "points_total": 5_000,
        "method": "m4",
    }
    assert frame.attrs["points_sent"] == len(frame) <= 41
    assert frame["curve"][1_234] == 99.0
    assert frame["curve"][3_456] == -7.0
    assert [(name, step) for name, step, _ in frame.attrs["nonfinite"]] == [("curve", 2_345)]
    assert list(frame.index[[0, -1]]) == [0, 4_999]
    assert run.history(["curve"], samples=5_000, shape="long").attrs["method"] == "raw"


def test_history_of_a_fork_holds_what_it_has_from_its_parent(live_web: str) -> None:
    project = make_project("alpha", ann="editor")
    writer = make_api(project)
    Job(writer, open_run(writer, "parent")).log(range(5), loss=[5.0, 4.0, 3.0, 2.0, 1.0])
    Job(writer, open_run(writer, "fork", fork_from="parent?_step=2")).log([3, 4], loss=[0.5, 0.4])
    run = scaledash.Api(live_web, make_token(get_user("ann"), Scope.READ)).run("alpha/fork")
    frame = run.history()
    assert list(frame["loss"]) == [5.0, 4.0, 3.0, 0.5, 0.4]
    assert frame.attrs["inherited"] == {"loss": 3}
    assert list(run.history(inherited=False)["loss"]) == [0.5, 0.4]
    assert (run.parent, run.fork_step) == ("parent", 2)


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


def test_commands_show_studies_fits_and_predictions(
    study: Study,
    scaledash_command: Callable[..., int],
    api: scaledash.Api,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert scaledash_command("study", "alpha/sweep") == 0
    assert "lr_exponent" in capsys.readouterr().out
    assert scaledash_command("study", "alpha", "--json") == 0
    assert [study["slug"] for study in json.loads(capsys.readouterr().out)] == ["sweep"]
    fit = api.study("alpha/sweep").fit("lr_exponent", "qk_norm=ln")
    size = fit.document["x"][0]
    arguments = ("fit", "alpha/sweep", "--variant", "qk_norm=ln", "--n", str(size), "--json")
    assert scaledash_command(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["params"] == fit.params
    assert document["predicted"]["lr"]["value"] == fit.predict(N=size)["lr"].value
    assert scaledash_command("fit", "alpha/sweep", "parametric", "--variant", "qk_norm=ln") == 3
    assert "refused" in capsys.readouterr().out


def test_command_exports_a_study_and_a_project(
    study: Study,
    scaledash_command: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert scaledash_command("export", "alpha/sweep", "-o", str(tmp_path), "--json") == 0
    paths = [Path(item["path"]) for item in json.loads(capsys.readouterr().out)]
    assert {path.name.rpartition("-")[2] for path in paths} == {
        *("runs.json", "exclusions.json", "forecasts.json", "fits.json", "figures.json")
    }
    assert all(json.loads(path.read_text()) is not None for path in paths)
    assert scaledash_command("export", "alpha", "--format", "csv", "-o", str(tmp_path)) == 0
    assert len((tmp_path / "alpha-runs.csv").read_text().splitlines()) == 43
