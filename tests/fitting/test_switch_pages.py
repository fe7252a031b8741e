"""What pages and the API say of analyses that are switched off, and who may switch them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from fitting import contexts
from fitting.forecasting import Target, predict
from fitting.models import Quantity, Study, SwitchedOff
from fitting.queries import INSTABILITY, LR_SWEEP, RL_SIGMOID, SWITCHABLE, view_study
from fitting.services import switch_analysis
from teams.models import Role
from tests.fitting.factories import make_study, make_sweep, settle
from tests.teams.factories import add_member, api_of, error_of, make_project, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def kept(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Study]:
    """A sweep, fitted once; what a test switches is rolled back."""
    with django_db_blocker.unblock():
        study = make_study(make_project("alpha"), "sweep")
        make_sweep(study)
        settle()
    yield study
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def study(kept: Study, db: None) -> Study:
    return kept


def switch(study: Study, analysis: str) -> bool:
    return switch_analysis(study, None, analysis, is_on=False)


def test_a_forecast_from_an_analysis_that_is_off_is_refused(study: Study) -> None:
    switch(study, LR_SWEEP)
    asked = Target(Quantity.OPTIMAL_LR, "qk_norm=none", n_params=600_000.0)
    found = predict(view_study(study), asked)
    assert isinstance(found, dict)
    assert found["sentence"].startswith("the analysis LR sweep is switched off on 20")


def test_the_laws_without_a_fit_say_which_are_off(study: Study) -> None:
    switch(study, RL_SIGMOID)
    absent = contexts.build_study(view_study(study), "lr", {})["absent"]
    (told,) = [item for item in absent if item["law"] == "RL sigmoid"]
    assert told["sentence"].startswith("switched off on 20")


def test_verdicts_on_the_runs_together_are_silent_while_off(study: Study) -> None:
    switch(study, INSTABILITY)
    document = contexts.build_study(view_study(study), "instab", {})
    told = {item["diagnostic"] for item in document["instabilities"]["verdicts"]}
    assert "logit_forecast" not in told and "lr_sensitivity" in told
    assert [item["analysis"] for item in document["switches"] if not item["is_on"]] == [INSTABILITY]


def open_browser(study: Study, role: Role) -> Client:
    user = make_user(str(role))
    add_member(study.project, user, role)
    return sign_in(user)


def test_the_tab_says_who_switched_it_off_and_shows_the_last_version(study: Study) -> None:
    browser = open_browser(study, Role.EDITOR)
    browser.post("/p/alpha/s/sweep/analyses/lr_sweep", {"on": "0", "tab": "lr"})
    page = browser.get("/p/alpha/s/sweep?tab=lr").content.decode()
    assert "Switched off by editor on" in page
    assert 'aria-label="Switch on LR sweep"' in page
    assert 'id="figure-lr_loss"' not in page
    assert "?tab=lr&amp;version=2" in page
    last = browser.get("/p/alpha/s/sweep?tab=lr&version=2").content.decode()
    assert 'id="figure-lr_loss"' in last and "Version 2 of 2" in last
    assert browser.get("/p/alpha/s/sweep/figures/lr_optimum.json?version=2").json()["data"]


def test_a_viewer_reads_that_it_is_off_and_cannot_switch(study: Study) -> None:
    switch(study, LR_SWEEP)
    browser = open_browser(study, Role.VIEWER)
    page = browser.get("/p/alpha/s/sweep?tab=lr").content.decode()
    assert "LR sweep: switched off" in page
    assert "Switch on" not in page
    assert browser.post("/p/alpha/s/sweep/analyses/lr_sweep", {"on": "1"}).status_code == 404
    assert SwitchedOff.objects.count() == 1


def test_the_settings_list_every_analysis_with_its_switch(study: Study) -> None:
    browser = open_browser(study, Role.EDITOR)
    sent = browser.post("/p/alpha/s/sweep/analyses/rl_sigmoid", {"on": "0"})
    assert sent["Location"] == "/p/alpha/s/sweep/edit#analyses"
    page = browser.get("/p/alpha/s/sweep/edit").content.decode()
    assert page.count('aria-label="Switch off ') == len(SWITCHABLE) - 1
    assert page.count('aria-label="Switch on RL sigmoid"') == 1
    assert "off, by editor since" in page


def test_every_page_stands_whatever_is_off(study: Study) -> None:
    browser = open_browser(study, Role.EDITOR)
    for analysis in SWITCHABLE:
        switch(study, analysis)
    for tab in (*contexts.TABS, "history"):
        assert browser.get(f"/p/alpha/s/sweep?tab={tab}").status_code == 200
    assert b"".join(browser.get("/p/alpha/s/sweep.html").streaming_content)


def test_the_api_switches_and_lists(study: Study) -> None:
    user = make_user("ann")
    add_member(study.project, user, Role.EDITOR)
    api, path = api_of(user), f"studies/{study.pk}/analyses"
    changed = api.post(path, {"analysis": "rl_sigmoid", "is_on": False}).json()
    assert (changed["analysis"], changed["is_on"], changed["by"]) == ("rl_sigmoid", False, "ann")
    listed = api.get(path).json()
    assert [item["analysis"] for item in listed] == list(SWITCHABLE)
    assert [item["analysis"] for item in listed if not item["is_on"]] == ["rl_sigmoid"]
    wrong = error_of(api.post(path, {"analysis": "x", "is_on": False}))
    assert wrong == (422, "unknown_value", "/analysis")
