"""Mentions: who is named in a comment hears of it at the bell, and nobody else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from fitting.alerts.hooks import HookWish, create_hook
from fitting.alerts.queries import count_unread
from fitting.models import Alert, Delivery
from runs.models import Run
from teams.models import Comment, Membership, Project, Role, Scope
from teams.principals import Principal
from tests.permissions.world import make_measurements
from tests.teams.factories import api_of, get_user, make_project, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    project = make_project("alpha", ann="admin", ed="editor", vi="viewer")
    make_project("beta", olga="admin")
    make_measurements(project)
    Alert.objects.all().delete()
    return project


def write(body: str, name: str = "ed", kind: str = "run", **fields: object) -> Comment:
    place = {"run": "run-1", "study": "lr-sweep"}[kind]
    url = f"/p/alpha/comments?kind={kind}&id={place}"
    assert sign_in(get_user(name)).post(url, {"body": body, **fields}).status_code == 302
    return Comment.objects.latest("pk")


def unread(name: str) -> int:
    return count_unread(Principal(user_id=get_user(name).pk))


def page_of(name: str, path: str = "/alerts") -> str:
    return sign_in(get_user(name)).get(path).content.decode()


def documents(name: str) -> list[dict]:
    return sign_in(get_user(name)).get("/alerts.json").json()["alerts"]


@pytest.mark.parametrize(("kind", "page"), [("run", "r/run-1"), ("study", "s/lr-sweep")])
def test_the_named_member_alone_is_told_with_a_link(project: Project, kind: str, page: str) -> None:
    comment = write("@vi, does this **diverge**?", kind=kind)
    assert [unread(name) for name in ("vi", "ann", "ed", "olga")] == [1, 0, 0, 0]
    (told,) = documents("vi")
    assert told["url"] == f"/p/alpha/{page}#comment-{comment.pk}"
    assert told["title"] == "ed mentioned you"
    assert told["sentence"] == "@vi, does this diverge?"
    assert told["kind"] == "mention"
    assert f'id="comment-{comment.pk}"' in page_of("vi", f"/p/alpha/{page}")


def test_a_point_of_a_curve_is_named(project: Project) -> None:
    write("@vi look", metric="train/loss", step="12500")
    assert documents("vi")[0]["sentence"] == "train/loss at step 12,500: @vi look"


def test_a_comment_by_the_api_tells_too(project: Project) -> None:
    api = api_of(get_user("ann"), Scope.ADMIN, project)
    body = {"kind": "run", "id": "run-1", "body": "@ed and @vi, please"}
    answer = api.post("projects/alpha/comments", body).json()
    assert "<mark>@ed</mark> and <mark>@vi</mark>" in answer["html"]
    assert [unread(name) for name in ("ed", "vi", "ann")] == [1, 1, 0]


def test_who_writes_of_oneself_is_told_nothing(project: Project) -> None:
    write("note to @ed")
    assert not Alert.objects.exists()


def test_one_comment_tells_once_however_often_it_names(project: Project) -> None:
    write("@vi @vi @vi")
    assert unread("vi") == 1


def test_whom_a_text_cannot_reach_is_plain_text_and_told_nothing(project: Project) -> None:
    get_user("ann").__class__.objects.filter(username="ann").update(is_active=False)
    write("@olga @nobody @ann, @vi.")
    assert Alert.objects.count() == 1
    assert unread("olga") == 0
    box = page_of("vi", "/p/alpha/r/run-1").partition('id="comments"')[2]
    assert "@olga @nobody @ann, <mark>@vi</mark>." in box


@pytest.mark.parametrize(
    "body", ["`@vi`", "    @vi", "mail vi@vi.example", "[@vi](https://a.example)"]
)
def test_a_name_in_code_or_a_link_means_nobody(project: Project, body: str) -> None:
    write(f"text\n\n{body}")
    assert unread("vi") == 0
    assert "<mark>" not in page_of("vi", "/p/alpha/r/run-1")


def test_an_edit_tells_the_new_and_takes_back_from_the_old(project: Project) -> None:
    comment = write("@vi")
    editor = sign_in(get_user("ed"))
    editor.post(f"/p/alpha/comments/{comment.pk}", {"body": "I meant @ann"})
    assert [unread(name) for name in ("vi", "ann")] == [0, 1]
    assert documents("ann")[0]["sentence"] == "I meant @ann"


def test_an_edit_that_names_the_same_person_does_not_tell_again(project: Project) -> None:
    comment = write("@vi, loook")
    sign_in(get_user("vi")).post("/alerts/read", {"id": Alert.objects.get().pk})
    sign_in(get_user("ed")).post(f"/p/alpha/comments/{comment.pk}", {"body": "@vi, look"})
    assert unread("vi") == 0
    assert documents("vi")[0]["sentence"] == "@vi, look"


def test_a_deleted_comment_leaves_nothing_at_the_bell(project: Project) -> None:
    comment = write("@vi: the password is hunter2")
    sign_in(get_user("ed")).post(f"/p/alpha/comments/{comment.pk}/delete")
    assert unread("vi") == 0
    assert "hunter2" not in page_of("vi")


def test_reading_is_counted(project: Project) -> None:
    write("@vi one")
    write("@vi two")
    reader = sign_in(get_user("vi"))
    reader.post("/alerts/read", {"id": Alert.objects.latest("pk").pk})
    assert unread("vi") == 1
    reader.post("/alerts/read", {"up_to": Alert.objects.latest("pk").pk})
    assert unread("vi") == 0


def test_a_muted_run_does_not_silence_who_speaks_to_me(project: Project) -> None:
    sign_in(get_user("vi")).post("/p/alpha/alerts/mute")
    write("@vi, still?")
    assert unread("vi") == 1


def test_t02_another_member_neither_sees_nor_reads_a_mention(project: Project) -> None:
    write("@vi, between the two of us")
    told = Alert.objects.get()
    api = api_of(get_user("ann"), Scope.ADMIN, project)
    assert api.get("alerts").json()["items"] == []
    assert api.post("alerts/read", {"ids": [told.pk]}).json()["marked"] == 0
    assert page_of("ann").count("between the two") == 0
    assert "1 alert" not in page_of("ann", "/p/alpha/r/run-1")


def test_t02_who_left_the_project_reads_no_mention(project: Project) -> None:
    write("@vi, a secret")
    Membership.objects.filter(user=get_user("vi")).delete()
    assert unread("vi") == 0
    assert "a secret" not in page_of("vi")


def test_t02_a_name_does_not_say_who_is_in_another_project(project: Project) -> None:
    Membership.objects.create(
        project=Project.objects.get(slug="beta"), user=get_user("vi"), role=Role.EDITOR
    )
    write("@vi, only alpha")
    bound = api_of(get_user("vi"), Scope.READ, Project.objects.get(slug="beta"))
    assert bound.get("alerts").json()["items"] == []


def test_a_mention_of_a_deleted_run_is_gone_with_it(project: Project) -> None:
    write("@vi")
    Run.objects.filter(uid="run-1").update(deleted_at=timezone.now() - timedelta(days=1))
    assert unread("vi") == 0


def test_webhooks_hear_of_no_mention(project: Project) -> None:
    wish = HookWish(name="chat", url="https://chat.example/x", format="json", least="info")
    create_hook(project, get_user("ann"), wish)
    write("@vi, not for the channel")
    assert Alert.objects.count() == 1
    assert not Delivery.objects.exists()
