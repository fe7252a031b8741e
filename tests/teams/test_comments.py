"""Comments on runs and studies: who writes, who reads, what is shown of Markdown."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.test import Client

from fitting.models import Study
from teams.comments import edit_comment
from teams.models import AuditEntry, Comment, Project, Scope
from teams.principals import Principal
from tests.permissions.world import make_measurements
from tests.teams.factories import Api, api_of, error_of, get_user, make_project, sign_in

pytestmark = pytest.mark.django_db

PAGES = {"study": "/p/alpha/s/lr-sweep", "run": "/p/alpha/r/run-1"}
IDS = {"study": "lr-sweep", "run": "run-1"}
KINDS = ("study", "run")
COMMENTS = "projects/alpha/comments"
REVISIONS = {"study": "studies/{study}/revision", "run": "runs/run-1/revision"}


@pytest.fixture
def project() -> Project:
    project = make_project("alpha", ann="admin", ed="editor", vi="viewer")
    make_measurements(project)
    return project


@pytest.fixture
def api(project: Project) -> Api:
    return api_of(get_user("ann"), Scope.ADMIN, project)


def write(name: str, body: str, kind: str = "run", **fields: object) -> object:
    form = {"body": body, **fields}
    return sign_in(get_user(name)).post(f"/p/alpha/comments?kind={kind}&id={IDS[kind]}", form)


def page_of(name: str, kind: str = "run") -> str:
    return sign_in(get_user(name)).get(PAGES[kind]).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_editor_writes_and_every_member_reads(project: Project, kind: str) -> None:
    answer = write("ed", "Diverges **after** warm-up", kind)
    assert answer["Location"].startswith(f"{PAGES[kind]}#comment-")
    assert "Diverges <strong>after</strong> warm-up" in page_of("vi", kind)


def test_viewer_reads_and_has_no_form(project: Project) -> None:
    assert "comment-body" not in page_of("vi")
    assert "comment-body" in page_of("ed")
    assert write("vi", "x").status_code == 404
    assert not Comment.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_revision_of_a_page_moves_with_its_comments_only(
    project: Project, api: Api, kind: str
) -> None:
    tags = [find_tag(api, kind)]
    write("ed", "first", kind)
    comment = Comment.objects.get()
    tags.append(find_tag(api, kind))
    edit_comment(comment, Principal(user_id=comment.author_id), "changed")
    tags.append(find_tag(api, kind))
    comment.delete()
    write("ed", "elsewhere", next(other for other in KINDS if other != kind))
    assert len(set(tags)) == 3
    assert find_tag(api, kind) == tags[0]


def find_tag(api: Api, kind: str) -> str:
    return api.get(REVISIONS[kind].format(study=Study.objects.get().pk))["ETag"]


def test_comment_on_one_subject_is_not_on_another(project: Project) -> None:
    write("ed", "only on the run", "run")
    assert "only on the run" not in page_of("ed", "study")


def test_comment_may_point_at_a_step_of_a_metric(project: Project) -> None:
    write("ed", "a spike", metric="train/loss", step="500")
    assert "train/loss at step 500" in page_of("vi")


def test_a_comment_on_a_step_is_an_event_that_its_curve_marks(project: Project) -> None:
    write("ed", "a spike", metric="train/loss", step="500")
    write("ed", "no step", metric="train/loss")
    comment = Comment.objects.get(body="a spike")
    page = page_of("vi")
    (mark,) = json.loads(html.unescape(re.search(r'data-marks="([^"]*)"', page)[1]))
    assert mark == {"step": 500, "tone": "note", "text": "ed: a spike", "metrics": ["train/loss"]}
    assert f'<a href="#comment-{comment.pk}">ed: a spike</a>' in page


@pytest.mark.parametrize(
    "form", [{"body": ""}, {"body": "x" * 20_001}, {"body": "x", "step": "-1"}, {"body": "a\x00"}]
)
def test_bad_comment_is_refused(project: Project, form: dict[str, str]) -> None:
    answer = sign_in(get_user("ed")).post("/p/alpha/comments?kind=run&id=run-1", form)
    assert answer.status_code == 422
    assert not Comment.objects.exists()


@pytest.mark.parametrize("query", ["", "?kind=run", "?kind=planet&id=x", "?kind=run&id=absent"])
def test_comment_on_nothing_is_404(project: Project, query: str) -> None:
    answer = sign_in(get_user("ed")).post(f"/p/alpha/comments{query}", {"body": "x"})
    assert answer.status_code == 404


def test_t07_hostile_markdown_of_a_comment_does_not_act(project: Project) -> None:
    write("ed", "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![p](https://evil.example)")
    box = page_of("vi").partition('id="comments"')[2]
    assert "<img" not in box
    assert "javascript:" not in re.sub(r">[^<]*<", "><", box)


def test_author_edits_and_the_comment_says_so(project: Project) -> None:
    write("ed", "first words")
    comment = Comment.objects.get()
    editor = sign_in(get_user("ed"))
    assert "first words" in editor.get(f"/p/alpha/comments/{comment.pk}").content.decode()
    editor.post(f"/p/alpha/comments/{comment.pk}", {"body": "second thoughts"})
    page = page_of("vi")
    assert "second thoughts" in page
    assert ">edited<" in page


def test_nobody_edits_the_comment_of_another(project: Project, api: Api) -> None:
    write("ed", "mine")
    comment = Comment.objects.get()
    answer = sign_in(get_user("ann")).post(f"/p/alpha/comments/{comment.pk}", {"body": "yours"})
    assert answer.status_code == 404
    assert error_of(api.patch(f"{COMMENTS}/{comment.pk}", {"body": "yours"}))[0] == 403
    comment.refresh_from_db()
    assert comment.body == "mine"


@pytest.mark.parametrize(("name", "status", "left"), [("ed", 302, 0), ("ann", 302, 0)])
def test_author_and_admin_delete(project: Project, name: str, status: int, left: int) -> None:
    write("ed", "mine")
    url = f"/p/alpha/comments/{Comment.objects.get().pk}/delete"
    assert sign_in(get_user(name)).post(url).status_code == status
    assert Comment.objects.count() == left


def test_other_editor_deletes_nothing(project: Project) -> None:
    write("ann", "of the admin")
    url = f"/p/alpha/comments/{Comment.objects.get().pk}/delete"
    assert sign_in(get_user("ed")).post(url).status_code == 404
    assert Comment.objects.exists()


def test_t02_comment_of_another_project_is_absent(project: Project) -> None:
    write("ed", "mine")
    make_project("beta", bob="admin")
    pk = Comment.objects.get().pk
    assert sign_in(get_user("bob")).post(f"/p/beta/comments/{pk}/delete").status_code == 404
    bob = api_of(get_user("bob"))
    assert bob.delete(f"projects/beta/comments/{pk}").status_code == 404
    assert bob.get(f"{COMMENTS}?kind=run&id=run-1").status_code == 404


def test_feed_tells_of_comments_and_whom_they_mention(project: Project) -> None:
    write("ed", "@vi. look, and @nobody too")
    entry = AuditEntry.objects.get(action="run_comment.added")
    assert entry.details["mentions"] == "vi"
    vi = sign_in(get_user("vi"))
    (first, *_) = vi.get("/p/alpha/activity.json").json()["entries"]
    assert first["action"] == "run_comment.added"
    assert first["text"].startswith("commented on the run ")
    assert first["url"] == f"/p/alpha/r/run-1#comment-{Comment.objects.get().pk}"
    assert "names you" in vi.get("/p/alpha/activity").text
    assert "names you" not in sign_in(get_user("ann")).get("/p/alpha/activity").text


def test_api_lists_oldest_first_with_safe_html(api: Api) -> None:
    for body in ("one", "<b>two</b>"):
        api.post(COMMENTS, {"kind": "study", "id": "lr-sweep", "body": body})
    found = api.get(f"{COMMENTS}?kind=study&id=lr-sweep").json()["items"]
    assert [(item["author"], item["body"]) for item in found] == [
        ("ann", "one"),
        ("ann", "<b>two</b>"),
    ]
    assert found[1]["html"] == "<p>&lt;b&gt;two&lt;/b&gt;</p>\n"


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"kind": "planet"}, 422, "unknown_value", "/kind"),
        ({"id": "absent"}, 404, "not_found", None),
        ({"body": ""}, 422, "required", "/body"),
        ({"step": "7"}, 422, "wrong_type", "/step"),
        ({"step": 2**60}, 422, "out_of_range", "/step"),
        ({"author": "bob"}, 422, "unknown_field", "/author"),
    ],
)
def test_t04_refused_comment_names_its_field(
    api: Api, change: dict[str, object], status: int, code: str, field: str | None
) -> None:
    body = {"kind": "run", "id": "run-1", "body": "x", **change}
    assert error_of(api.post(COMMENTS, body)) == (status, code, field)


@pytest.mark.parametrize("mode", ["live", "frozen"])
@pytest.mark.parametrize("kind", KINDS)
def test_t05_link_shows_comments_only_if_made_to(api: Api, kind: str, mode: str) -> None:
    write("ed", "between us", kind)
    if kind == "run":
        write("ed", "on a step", kind, step="3")
    body = {"kind": kind, "id": IDS[kind], "mode": mode}
    without = api.post("projects/alpha/shares", {**body, "with_notes": True}).json()["url"]
    included = api.post("projects/alpha/shares", {**body, "with_comments": True}).json()["url"]
    bare = Client().get(without).content.decode()
    assert "between us" not in bare
    assert "on a step" not in bare
    page = Client().get(included).content.decode()
    assert "between us" in page
    assert page.count("ed: on a step") == (2 if kind == "run" else 0)
    assert "/comments" not in page


def test_frozen_link_keeps_the_comments_of_its_day(api: Api) -> None:
    write("ed", "early")
    body = {"kind": "run", "id": "run-1", "mode": "frozen", "with_comments": True}
    url = api.post("projects/alpha/shares", body).json()["url"]
    write("ed", "late")
    Comment.objects.filter(body="early").delete()
    page = Client().get(url).content.decode()
    assert "early" in page
    assert "late" not in page
