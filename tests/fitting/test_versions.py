"""Earlier versions of a fit: kept as they were, shown on the page, with what changed and why."""

from __future__ import annotations

import json
import re

import pytest
from django.utils import timezone

from fitting.analyses import ANALYSES
from fitting.inputs import read_study_rows
from fitting.models import Fit, FitKind, Study
from fitting.queries import COMPUTE_OPTIMAL, LR_BATCH, LR_SWEEP, StudyView, list_fits, view_study
from fitting.versions import build_history, describe_change, pin_version
from scaledash.lib.jsonsafe import make_safe
from tests.fitting.factories import log_loss, make_run, make_study, make_sweep
from tests.fitting.planted import make_batches
from tests.teams.factories import make_project, sign_in

pytestmark = pytest.mark.django_db


def publish(study: Study, kind: FitKind = FitKind.FAST) -> Fit:
    """Store what a worker would, of the data as they are."""
    rows = read_study_rows(study, None)
    for name in (LR_BATCH, COMPUTE_OPTIMAL, LR_SWEEP):
        data = ANALYSES[name].load(study, rows, kind)
        fit = Fit.objects.create(
            study=study,
            analysis=name,
            kind=kind,
            token=Fit.objects.filter(study=study, analysis=name).count() + 1,
            input_digest=data.digest,
            n_runs=data.n_runs,
            n_points=data.n_points,
            data_at=timezone.now(),
            duration_seconds=0.1,
            result=make_safe(ANALYSES[name].analyse(data, study, kind)),
        )
    return fit


@pytest.fixture
def study() -> Study:
    study = make_study(make_project("alpha", ann="admin"), "sweep")
    make_sweep(study)
    publish(study)
    return study


def change(study: Study, loss: float = 1.5) -> str:
    """Give one run another final loss and publish the fit of it; returns the run."""
    run = study.runs.get(n_params_non_embedding=9_000.0, peak_lr=3e-4)
    log_loss(run, loss)
    publish(study)
    return run.uid


def read_losses(view: StudyView) -> dict[str, float]:
    return {row.uid: row.loss for row in view.rows.rows}


def test_each_version_says_what_changed_and_why(study: Study) -> None:
    uid = change(study)
    newest, first = build_history(study, LR_SWEEP)["versions"]
    assert first["why"] == ["the first fit"]
    assert newest["why"] == [f"1 run with another final loss: {uid}"]
    assert any(text.startswith("LR* at N = 9k") for text in newest["what"])
    assert not any("none \N{RIGHTWARDS ARROW} none" in text for text in newest["what"])


def test_what_changed_calls_a_variant_as_the_pages_do() -> None:
    study = make_study(make_project("alpha"), "sweep", variant_keys=["qk_norm"])
    make_sweep(study, {"none": 0.05, "ln": 0.04, "rms": 0.03})
    results = [publish(study).result]
    log_loss(study.runs.filter(n_params_non_embedding=9_000.0, peak_lr=3e-4).first(), 1.5)
    results.append(publish(study).result)
    labelled = [json.dumps(result).replace("qk_norm=", "wd=0, qk_norm=") for result in results]
    fits = [Fit(analysis=LR_SWEEP, result=json.loads(text)) for text in labelled]
    told = " ".join(describe_change(*fits).what)
    assert "LR* at N = 9k qk_norm=" in told
    assert "wd=0" not in told


def test_deep_fit_of_the_same_data_differs_by_its_replicas(study: Study) -> None:
    fast, deep = list_fits(study).first(), publish(study, FitKind.DEEP)
    (why,) = describe_change(fast, deep).why
    assert why.startswith("replicas: ")


def test_runs_that_joined_and_left_are_named(study: Study) -> None:
    before = list_fits(study).first()
    joined = make_run(study.project, 2.7)
    gone = next(iter(before.result["losses"]))
    after = Fit(analysis=LR_SWEEP, input_digest="other", result=dict(before.result))
    losses = {uid: loss for uid, loss in before.result["losses"].items() if uid != gone}
    after.result["losses"] = {**losses, joined.uid: ["stamp", 2.7]}
    why = describe_change(before, after).why
    assert why == (f"1 run joined: {joined.uid}", f"1 run left: {gone}")


def test_version_is_seen_as_it_was_whatever_came_later(study: Study) -> None:
    shown = view_study(study)
    uid = change(study)
    pinned = pin_version(view_study(study), LR_SWEEP, 1)
    assert pinned.result == shown.result
    assert read_losses(pinned) == read_losses(shown)
    assert read_losses(view_study(study))[uid] == 1.5


def test_page_twin_and_figures_show_the_version_that_the_address_names(study: Study) -> None:
    browser, place = sign_in(study.project.members.get()), "/p/alpha/s/sweep"
    first = list_fits(study).first()
    change(study)
    page = browser.get(f"{place}?tab=lr&version=1").content.decode()
    assert "<strong>Version 1 of 2</strong>" in page
    assert 'data-options="ys version"' in page
    twin = browser.get(f"{place}.json?tab=lr&version=1").json()
    assert (twin["fit"]["version"], twin["fit"]["digest"]) == (1, first.input_digest)
    figures = [
        browser.get(f"{place}/figures/lr_loss.json{query}").json()["table"]
        for query in ("?version=1", "")
    ]
    assert figures[0] != figures[1]
    assert browser.get(f"{place}?tab=isoflop&version=1").status_code == 200
    assert "?tab=lr&amp;version=1" in browser.get(f"{place}?tab=history").content.decode()


def test_versions_of_one_figure_of_a_tab_have_an_address_of_their_own() -> None:
    study = make_study(make_project("alpha", ann="admin"), "batches")
    make_batches(study)
    publish(study)
    log_loss(study.runs.get(peak_lr=2e-2, batch_tokens=1024), 2.49)
    publish(study)
    browser, place = sign_in(study.project.members.get()), "/p/alpha/s/batches"
    newest = build_history(study, LR_BATCH)["versions"][0]
    assert any(text.startswith("LR* at N = 9k, D = 1M: 0.01 ") for text in newest["what"])
    assert "?tab=lr&amp;law=lr_batch&amp;version=1" in (
        browser.get(f"{place}?tab=history").content.decode()
    )
    page = browser.get(f"{place}?tab=lr&law=lr_batch&version=1").content.decode()
    assert "<strong>Version 1 of 2</strong> of Learning rate and batch" in page
    assert re.findall(r'data-plot="(\w+)".*?data-options="([^"]*)"', page) == [
        ("lr_loss", "ys"),
        ("lr_optimum", ""),
        ("lr_sensitivity", ""),
        ("lr_batch", "cell version"),
    ]
    twin = browser.get(f"{place}.json?tab=lr&law=lr_batch&version=1").json()
    assert twin["batch"]["cells"][0]["loss_text"] == "2.500"


def test_a_figure_is_compressed_and_not_sent_twice(study: Study) -> None:
    browser = sign_in(study.project.members.get())
    url = "/p/alpha/s/sweep/figures/lr_loss.json"
    answer = browser.get(url, headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) < len(browser.get(url).content) / 3
    again = {"Accept-Encoding": "gzip", "If-None-Match": answer["ETag"]}
    assert browser.get(url, headers=again).status_code == 304


def test_version_that_does_not_exist_is_not_found(study: Study) -> None:
    browser, place = sign_in(study.project.members.get()), "/p/alpha/s/sweep"
    for version in ("0", "99", "x", "-1", "1.5", "9" * 30):
        for path in (f"{place}?tab=lr&", f"{place}/figures/lr_loss.json?"):
            assert browser.get(f"{path}version={version}").status_code == 404
