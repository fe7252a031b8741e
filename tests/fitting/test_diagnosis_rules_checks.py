"""What may be decided about the diagnoses of a project, by whom, and what is refused."""

from __future__ import annotations

import math

import pytest
from django.test import Client

from fitting.diagnoses.naming import set_meaning
from fitting.diagnoses.thresholds import change_thresholds, list_thresholds
from fitting.models import Dirty, FitKind, ProjectThreshold
from fitting.services import Refused
from teams.models import AuditEntry
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Api, Role, add_member, make_user, sign_in

pytestmark = pytest.mark.django_db
LOGIT = "attention_logits"


@pytest.fixture
def api() -> Api:
    found = make_api()
    log(found, "attn.max_logit.L0")
    return found


def log(api: Api, metric: str) -> None:
    """Log one point of a metric in a run of its own that has been judged."""
    Job(api, open_run(api)).log([10], metrics={metric: [5.0]})
    Dirty.objects.all().delete()


def n_waiting() -> int:
    return Dirty.objects.filter(kind=FitKind.RUN_DIAG).count()


def browser(api: Api, role: Role = Role.EDITOR) -> Client:
    return sign_in(add_member(api.project, make_user(), role))


def test_unchanged_threshold_judges_nothing_again(api: Api) -> None:
    assert change_thresholds(api.project, None, LOGIT, {"watch": 100.0}) == []
    assert n_waiting() == 0


def test_thresholds_of_one_project_leave_others_alone(api: Api) -> None:
    other = make_api()
    change_thresholds(other.project, None, LOGIT, {"watch": 50})
    assert n_waiting() == 0
    assert list_thresholds(api.project)[0]["n_own"] == 0


@pytest.mark.parametrize(
    ("slug", "values", "sentence"),
    [
        ("nothing", {"watch": 1}, "no diagnostic"),
        (LOGIT, {"wacth": 1}, "has no threshold 'wacth'"),
        (LOGIT, {"watch": -1}, "number from 0"),
        (LOGIT, {"watch": math.nan}, "number from 0"),
        (LOGIT, {"doubling": 2}, "number from 0 to 1"),
        (LOGIT, {"watch": 2000}, r"watch \(2000\) has to stay below warn \(1000\)"),
        ("gradient_epsilon", {"warn": 200}, r"warn \(200\) has to stay below watch \(100\)"),
    ],
)
def test_threshold_without_a_meaning_is_refused(
    api: Api, slug: str, values: dict[str, float], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        change_thresholds(api.project, None, slug, values)
    assert not ProjectThreshold.objects.exists()


def test_bands_move_together(api: Api) -> None:
    change_thresholds(api.project, None, LOGIT, {"watch": 2000, "warn": 3000})
    assert ProjectThreshold.objects.count() == 2


def test_change_stands_in_the_audit_log_with_old_and_new_value(api: Api) -> None:
    change_thresholds(api.project, None, LOGIT, {"watch": 50})
    entry = AuditEntry.objects.get(action="threshold.changed")
    assert (entry.target, entry.details) == (LOGIT, {"watch": "50 (was 100)"})


def test_api_changes_a_threshold_and_shows_default_and_source(api: Api) -> None:
    place = f"projects/{api.project.slug}/thresholds"
    answer = api.patch(f"{place}/{LOGIT}", {"values": {"watch": 50}})
    assert answer.status_code == 200
    found = {item["diagnostic"]: item for item in api.get(place).json()["diagnostics"]}
    first = found[LOGIT]["thresholds"][0]
    assert (first["value"], first["default"], first["is_own"]) == (50, 100, True)
    refused = api.patch(f"{place}/{LOGIT}", {"values": {"watch": 5000}})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "/values/watch")


@pytest.mark.parametrize(
    ("metric", "key", "unit", "sentence"),
    [
        ("absent", "loss.train", "", "No run of this project logs 'absent'"),
        ("attn.max_logit.L0", "loss.trian", "", "no key that a diagnostic reads"),
        ("attn.max_logit.L0", "loss.train", "furlong", "no unit"),
        ("attn.max_logit.L0", "loss.train", "norm", "one parameter"),
    ],
)
def test_meaning_that_nothing_can_read_is_refused(
    api: Api, metric: str, key: str, unit: str, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        set_meaning(api.project, None, metric, key, unit)


def test_api_maps_lists_and_forgets(api: Api) -> None:
    log(api, "my loss")
    place = f"projects/{api.project.slug}/metric-names"
    assert api.get(place).json()["unread"] == ["my loss"]
    answer = api.call("PUT", place, {"metric": "my loss", "key": "loss.train"}).json()
    assert {item["metric"]: item["how"] for item in answer["metrics"]}["my loss"] == "set by hand"
    assert api.delete(f"{place}?metric=my+loss").status_code == 200
    assert api.delete(f"{place}?metric=my+loss").status_code == 404


def test_editor_changes_both_on_the_page(api: Api) -> None:
    log(api, "weird")
    editor, page = browser(api), f"/p/{api.project.slug}/settings/diagnostics"
    editor.post(f"{page}/thresholds", {"diagnostic": LOGIT, "value-watch": "50", "value-warn": ""})
    editor.post(f"{page}/metric-names", {"metric": "weird", "key": "loss.train", "action": "set"})
    shown = editor.get(page).content.decode()
    assert 'name="value-watch" value="50"' in shown
    assert 'data-key="weird" data-how="set by hand"' in shown
    refused = editor.post(
        f"{page}/thresholds", {"diagnostic": LOGIT, "value-watch": "x"}, follow=True
    )
    assert "is no number" in refused.content.decode()


def test_viewer_reads_the_page_without_forms(api: Api) -> None:
    viewer = browser(api, Role.VIEWER)
    page = viewer.get(f"/p/{api.project.slug}/settings/diagnostics").content.decode()
    assert "Wortsman et al. 2023, section 3.3" in page
    assert "/settings/diagnostics/" not in page


def test_only_runs_that_log_the_metric_are_judged_again(api: Api) -> None:
    log(api, "loss")
    set_meaning(api.project, None, "loss", "loss.total")
    assert n_waiting() == 1
