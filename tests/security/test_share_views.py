"""Links to comparisons, tables and curves are fixed when made: they never come to show more."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client

from runs.models import Run
from runs.saved_views import ViewWish, save_view
from runs.services import delete_run
from teams import sharing
from teams.models import Role, Scope
from teams.principals import Principal
from tests.runs.factories import Job, open_run
from tests.teams.factories import Api, api_of, get_user, make_project, sign_in

SECRET = "Unspoken-8812"
TABLE = "runs?f=lr < 1&cols=name,lr&s=lr"
MARK = {"kind": "note", "step": 3, "reason": "node failed"}
CURVES = "explore?m=loss.*&f=lr < 1&color=lr"


@pytest.fixture
def api(db: None) -> Api:
    """Project alpha: runs a and b inside the view, c outside; a secret metric and config key."""
    project = make_project("alpha", ed="editor", vi="viewer")
    api = api_of(get_user("ed"), Scope.ADMIN, project)
    api.project = project
    for uid, lr in (("a", 0.1), ("b", 0.2), ("c", 3.0)):
        config = {"lr": lr, "key": f"{SECRET}-{uid}"}
        job = Job(api, open_run(api, uid, name=f"run {uid}", config=config))
        job.log([1, 2, 3, 4], **{"loss": [4.0, 3.0, 2.5, 2.25], SECRET: [1.0] * 4})
    return api


def make_link(api: Api, kind: str, subject_id: str, **options: object) -> str:
    query = QueryDict(mutable=True)
    query["id"] = subject_id
    principal = Principal(user_id=get_user("ed").pk)
    subject = sharing.KINDS[kind].choose(principal, api.project, query)
    assert subject is not None
    wish = sharing.ShareWish(kind=kind, subject=subject, **options)
    token = sharing.create_share(api.project, get_user("ed"), wish)[1]
    return f"/s/{token}/"


def read(link: str, part: str = "page.json", **query: str) -> dict[str, object]:
    answer = Client().get(f"{link}{part}?{urlencode(query)}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def show(link: str, **query: str) -> str:
    page = Client().get(f"{link}?{urlencode(query)}").content.decode()
    return re.sub(r'nonce="[^"]*"', "", page)


def add_run(api: Api, uid: str, lr: float) -> None:
    Job(api, open_run(api, uid, config={"lr": lr})).log([1, 2], loss=[3.0, 2.0])


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize(
    ("subject_id", "wider"),
    [
        (TABLE, {"f": "", "q": "c", "cols": "config.key", "s": "config.key", "by": "config.key"}),
        (TABLE, {"v": "1", "arch": "1", "state": "running", "sel": "c"}),
        (CURVES, {"f": "", "m": SECRET, "color": "config.key", "x": f"metric:{SECRET}"}),
        (CURVES, {"sel": "c", "facet": "config.key", "p": "all", "s": "config.key", "agg": "mean"}),
    ],
)
def test_t05_the_query_of_a_reader_never_widens_a_view(
    api: Api, subject_id: str, wider: dict[str, str], is_frozen: bool
) -> None:
    link = make_link(api, "view", subject_id, is_frozen=is_frozen)
    for key, value in wider.items():
        assert read(link, **{key: value}) == read(link), key
        assert SECRET not in show(link, **{key: value})
    assert {run["uid"] for run in read(link)["runs"]} == {"a", "b"}
    assert "run c" not in show(link)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_t05_curves_of_other_metrics_and_axes_are_not_there(api: Api, is_frozen: bool) -> None:
    link = make_link(api, "view", CURVES, is_frozen=is_frozen)
    plain = read(link, "curves.json", metric="loss")
    assert sorted(plain["charts"][0]["series"]) == ["a", "b"]
    assert read(link, "curves.json", metric="loss", x=f"metric:{SECRET}", f="", p="all") == plain
    hidden = read(link, "curves.json", metric=SECRET)
    assert all(chart["series"] == {} for chart in hidden["charts"])


def test_t05_a_comparison_shows_its_runs_and_no_others(api: Api) -> None:
    link = make_link(api, "comparison", "b,a")
    assert [run["uid"] for run in read(link, sel="a,c")["runs"]] == ["b", "a"]
    assert "run c" not in show(link, sel="a,c")


def test_t05_a_pattern_stands_for_the_metrics_of_the_day_it_was_shared(api: Api) -> None:
    link = make_link(api, "view", CURVES)
    Job(api, Run.objects.get(uid="a")).log([5], **{"loss.hidden": [1.0]})
    assert read(link)["metrics"] == ["loss"]


@pytest.mark.parametrize("kind", ["view", "comparison"])
@pytest.mark.parametrize("subject_id", ["a", "a,zz", "home?f=", "99", "9" * 30, "", "study?tab=lr"])
def test_t02_nothing_is_shared_that_is_not_there(api: Api, kind: str, subject_id: str) -> None:
    answer = api.post("projects/alpha/shares", {"kind": kind, "id": subject_id or "?"})
    assert answer.status_code == 404


def test_t02_the_private_view_of_a_teammate_is_not_shared(api: Api) -> None:
    wish = ViewWish("runs", "Mine", "cols=name")
    view = save_view(api.project, get_user("vi"), Role.VIEWER, wish)
    body = {"kind": "view", "id": str(view.pk)}
    assert api.post("projects/alpha/shares", body).status_code == 404


def test_t02_runs_of_another_project_are_not_compared(api: Api) -> None:
    other = make_project("beta")
    Run.objects.create(project=other, uid="theirs")
    body = {"kind": "comparison", "id": "a,theirs"}
    assert api.post("projects/alpha/shares", body).status_code == 404


@pytest.mark.parametrize("subject_id", [TABLE, CURVES])
def test_a_live_view_takes_new_runs_in_and_a_frozen_one_does_not(api: Api, subject_id: str) -> None:
    live = make_link(api, "view", subject_id)
    frozen = make_link(api, "view", subject_id, is_frozen=True)
    rev, page = read(live, "rev.json")["rev"], show(frozen)
    add_run(api, "outside", lr=5.0)
    assert read(live, "rev.json")["rev"] == rev
    add_run(api, "inside", lr=0.3)
    assert read(live, "rev.json")["rev"] != rev
    assert {run["uid"] for run in read(live)["runs"]} == {"a", "b", "inside"}
    assert {run["uid"] for run in read(frozen)["runs"]} == {"a", "b"}
    assert show(frozen) == page


def test_frozen_curves_outlive_their_runs_and_still_take_another_scale(api: Api) -> None:
    link = make_link(api, "view", CURVES, is_frozen=True)
    before = read(link, "curves.json", metric="loss", ys="log", sm="0.5")
    assert "smooth" in before["charts"][0]["series"]["a"]
    delete_run(Run.objects.get(uid="a"))
    assert read(link, "curves.json", metric="loss", ys="log", sm="0.5") == before


def test_a_frozen_comparison_keeps_its_values(api: Api) -> None:
    link = make_link(api, "comparison", "a,b", is_frozen=True)
    Job(api, Run.objects.get(uid="a")).log([9], loss=[0.5])
    (loss,) = (line for line in read(link)["metrics"] if line["key"] == "loss")
    assert loss["cells"] == ["2.25", "2.25"]


def test_renaming_and_deleting_a_saved_view_changes_no_link_to_it(api: Api) -> None:
    wish = ViewWish("runs", "Small", "f=lr < 1&cols=name", is_shared=True)
    view = save_view(api.project, get_user("ed"), Role.EDITOR, wish)
    link = make_link(api, "view", str(view.pk))
    before = show(link)
    assert "<strong>Small</strong>" in before
    view.delete()
    assert show(link) == before


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_saved_comparison_is_shared_as_any_other_view(api: Api, is_frozen: bool) -> None:
    wish = ViewWish("compare", "Two rates", "sel=b,a", is_shared=True)
    view = save_view(api.project, get_user("ed"), Role.EDITOR, wish)
    link = make_link(api, "view", str(view.pk), is_frozen=is_frozen)
    assert "<strong>Two rates</strong>" in show(link)
    assert [run["uid"] for run in read(link, sel="a,c")["runs"]] == ["b", "a"]
    assert f"kind=view&amp;id={view.pk}" in sign_in(get_user("ed")).get("/views").content.decode()


@pytest.mark.parametrize("subject_id", ["compare?sel=a", "compare?sel=a,zz", "compare"])
def test_t02_a_comparison_without_its_runs_is_not_shared(api: Api, subject_id: str) -> None:
    body = {"kind": "view", "id": subject_id}
    assert api.post("projects/alpha/shares", body).status_code == 404


def test_t05_a_link_to_a_run_shows_no_traceback(api: Api) -> None:
    kept = {"traceback": "Hidden-trace", "alerts": [{"title": SECRET}], "marks": [MARK]}
    config = {"lr": 0.1, "_scaledash": kept}
    Run.objects.filter(uid="a").update(config=config)
    link = make_link(api, "run", "a")
    document = read(link)
    assert "Hidden-trace" not in show(link) + str(document)
    assert "node failed" in [event["text"] for event in document["events"]]


@pytest.mark.parametrize(
    ("query", "has_comments"),
    [
        ({"kind": "run", "id": "a"}, True),
        ({"kind": "comparison", "id": "a,b"}, False),
        ({"kind": "view", "id": CURVES}, False),
    ],
)
def test_the_form_offers_comments_and_notes_only_where_there_are_some(
    api: Api, query: dict[str, str], has_comments: bool
) -> None:
    page = sign_in(get_user("ed")).get(f"/p/alpha/shares/new?{urlencode(query)}").content.decode()
    assert ('name="with_comments"' in page) == has_comments
    assert ('name="with_notes"' in page) == has_comments


def test_the_api_refuses_to_include_what_is_not_there(api: Api) -> None:
    body = {"kind": "comparison", "id": "a,b", "with_comments": True}
    answer = api.post("projects/alpha/shares", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_included")


def test_comments_are_written_on_runs_and_studies_only(api: Api) -> None:
    body = {"kind": "comparison", "id": "a,b", "body": "x"}
    assert api.post("projects/alpha/comments", body).status_code == 422
    here = f"/p/alpha/comments?{urlencode({'kind': 'comparison', 'id': 'a,b'})}"
    assert sign_in(get_user("ed")).post(here, {"body": "x"}).status_code == 404


def test_pages_offer_a_link_to_what_they_show(api: Api) -> None:
    browser = sign_in(get_user("ed"))
    page = browser.get("/p/alpha/runs?f=lr+<+1&p=1").content.decode()
    assert "kind=view&amp;id=runs%3Ff%3Dlr%2520%253C%25201" in page
    assert (
        "kind=comparison&amp;id=a%2Cb" in browser.get("/p/alpha/compare?sel=a,b").content.decode()
    )
    assert "/shares/new" not in sign_in(get_user("vi")).get("/p/alpha/explore").content.decode()
