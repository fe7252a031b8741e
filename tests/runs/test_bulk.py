"""Changes of many runs at once through the page: who may, what changes, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from fitting.services import StudyWish, create_study
from runs.models import BulkEdit, Run
from teams.models import AuditEntry, Project
from tests.runs.factories import open_run
from tests.teams.factories import Api, get_user, make_project, sign_in


@pytest.fixture
def project(db: None) -> Project:
    made = make_project("bulk", viewer="viewer", editor="editor", admin="admin")
    for place in range(4):
        Run.objects.create(project=made, uid=f"r{place}", peak_lr=0.1 * place, tags=["old"])
    return made


@pytest.fixture
def editor(project: Project) -> Client:
    return sign_in(get_user("editor"))


@pytest.fixture
def admin(project: Project) -> Client:
    return sign_in(get_user("admin"))


def change(client: Client, action: str, runs: str, view: str = "", tag: str = "") -> str:
    """Post a change; returns the text of the page that follows."""
    body = {"action": action, "runs": runs, "view": view, "tag": tag}
    answer = client.post("/p/bulk/runs/edit", body, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def undo(client: Client) -> int:
    edit = BulkEdit.objects.latest("created_at")
    return client.post(f"/p/bulk/runs/edit/{edit.pk}/undo", follow=True).status_code


def shown(client: Client, **query: str) -> list[str]:
    document = client.get(f"/p/bulk/runs.json?{urlencode(query)}").json()
    return sorted(run["uid"] for run in document["runs"])


def tags_of(uid: str) -> list[str]:
    return Run.objects.get(uid=uid).tags


def test_a_tag_is_added_once_and_undo_takes_it_from_the_runs_that_got_it(
    project: Project, editor: Client
) -> None:
    Run.objects.filter(uid="r1").update(tags=["old", "new"])
    page = change(editor, "tag", "r0,r1", tag="new")
    assert "1 run tagged" in page
    assert (tags_of("r0"), tags_of("r1"), tags_of("r2")) == (
        ["old", "new"],
        ["old", "new"],
        ["old"],
    )
    assert undo(editor) == 200
    assert (tags_of("r0"), tags_of("r1")) == (["old"], ["old", "new"])


def test_a_tag_is_removed_and_undo_gives_it_back(project: Project, editor: Client) -> None:
    change(editor, "untag", "r0,r2", tag="old")
    assert (tags_of("r0"), tags_of("r1")) == ([], ["old"])
    undo(editor)
    assert tags_of("r0") == ["old"]


def test_a_run_with_all_the_tags_it_may_have_gets_no_more(project: Project, editor: Client) -> None:
    full = [f"t{place}" for place in range(settings.MAX_TAGS_PER_RUN)]
    Run.objects.filter(uid="r0").update(tags=full)
    change(editor, "tag", "r0,r1", tag="new")
    assert (tags_of("r0"), tags_of("r1")) == (full, ["old", "new"])


@pytest.mark.parametrize("tag", ["", "  ", "x" * 257])
def test_a_tag_that_is_none_is_refused_with_a_sentence(
    project: Project, editor: Client, tag: str
) -> None:
    assert "A tag has 1 to 256 characters" in change(editor, "tag", "r0", tag=tag)
    assert tags_of("r0") == ["old"]


def test_archived_runs_are_hidden_counted_and_shown_on_request(
    project: Project, editor: Client
) -> None:
    page = change(editor, "archive", "r0,r1")
    assert "2 runs archived." in page
    assert "2 archived hidden" in page
    assert shown(editor) == ["r2", "r3"]
    assert shown(editor, arch="1") == ["r0", "r1", "r2", "r3"]
    assert shown(editor, arch="only", f="lr < 0.05") == ["r0"]
    undo(editor)
    assert shown(editor) == ["r0", "r1", "r2", "r3"]


def test_the_api_lists_archived_runs_on_request_only(api: Api) -> None:
    for uid in ("one", "two"):
        open_run(api, uid)
    assert api.patch("runs/one", {"archived": True}).json()["archived_at"] is not None
    path = f"runs?project={api.project.slug}&columns=id"

    def list_ids(query: str = "") -> list[str]:
        return [item["id"] for item in api.get(path + query).json()["items"]]

    assert list_ids() == ["two"]
    assert list_ids("&archived=show") == ["two", "one"]
    assert list_ids("&archived=only") == ["one"]
    assert api.get(f"{path}&archived=maybe").status_code == 422
    assert api.patch("runs/one", {"archived": False}).json()["archived_at"] is None


def test_an_export_holds_archived_runs_unless_it_is_told_not_to(api: Api) -> None:
    for uid in ("one", "two"):
        open_run(api, uid)
    api.patch("runs/one", {"archived": True})
    path = f"projects/{api.project.slug}/export?type=csv"

    def count_lines(query: str = "") -> int:
        answer = api.get(path + query)
        return len(b"".join(answer.streaming_content).splitlines())

    assert count_lines() == 3
    assert count_lines("&archived=hide") == 2
    assert count_lines("&match=^t") == 2


def test_resuming_an_archived_run_takes_it_out_of_the_archive(api: Api) -> None:
    open_run(api, "one")
    api.patch("runs/one", {"archived": True})
    assert open_run(api, "one", resume="allow").archived_at is None


def test_a_deletion_leaves_lists_and_studies_and_is_undone(project: Project, admin: Client) -> None:
    study = create_study(project, None, StudyWish(slug="all", selection={"kind": "all"}))
    page = change(admin, "delete", "r0,r1")
    assert "2 runs deleted." in page
    assert shown(admin, arch="1") == ["r2", "r3"]
    assert study.study_runs.count() == 2
    undo(admin)
    assert shown(admin) == ["r0", "r1", "r2", "r3"]
    assert study.study_runs.count() == 4


def test_the_trash_lists_what_was_deleted_and_gives_it_back(
    project: Project, admin: Client
) -> None:
    change(admin, "delete", "r1,r2")
    document = admin.get("/p/bulk/trash.json").json()
    assert sorted(run["uid"] for run in document["runs"]) == ["r1", "r2"]
    days = datetime.fromisoformat(document["runs"][0]["erased_at"]) - datetime.now(UTC)
    assert days > timedelta(days=settings.PURGE_AFTER_DAYS - 1)
    page = admin.post("/p/bulk/trash/restore", {"run": "r1"}, follow=True).content.decode()
    assert "1 run restored." in page
    assert shown(admin) == ["r0", "r1", "r3"]
    admin.post("/p/bulk/trash/restore", {"run": "*"})
    assert shown(admin) == ["r0", "r1", "r2", "r3"]
    assert "The trash is empty" in admin.get("/p/bulk/trash").content.decode()
    assert AuditEntry.objects.filter(action="runs.restored").count() == 2


def test_the_trash_gives_nothing_back_that_is_not_in_it(project: Project, admin: Client) -> None:
    other = Run.objects.create(project=make_project("else"), uid="x", deleted_at=datetime.now(UTC))
    page = admin.post("/p/bulk/trash/restore", {"run": "x"}, follow=True).content.decode()
    assert "Nothing to restore" in page
    other.refresh_from_db()
    assert other.deleted_at is not None


def test_an_editor_deletes_nothing(project: Project, editor: Client) -> None:
    body = {"action": "delete", "runs": "r0"}
    assert editor.post("/p/bulk/runs/edit", body).status_code == 404
    assert shown(editor) == ["r0", "r1", "r2", "r3"]


def test_an_editor_does_not_undo_a_deletion(
    project: Project, admin: Client, editor: Client
) -> None:
    change(admin, "delete", "r0")
    assert undo(editor) == 404
    assert "r0" not in shown(admin)


def test_every_run_means_every_run_that_the_filter_leaves(project: Project, editor: Client) -> None:
    change(editor, "tag", "*", view=urlencode({"f": "lr > 0.15"}), tag="fast")
    assert [uid for uid in ("r0", "r1", "r2", "r3") if "fast" in tags_of(uid)] == ["r2", "r3"]


def test_every_run_of_a_wrong_filter_is_none(project: Project, editor: Client) -> None:
    page = change(editor, "archive", "*", view=urlencode({"f": "lr > fast"}))
    assert "is no number" in page
    assert BulkEdit.objects.count() == 0


def test_runs_of_another_project_are_left_alone(project: Project, editor: Client) -> None:
    Run.objects.create(project=make_project("other"), uid="foreign")
    assert "Nothing to change" in change(editor, "archive", "foreign")
    assert Run.objects.get(uid="foreign").archived_at is None


def test_a_change_leads_back_to_the_same_view(project: Project, editor: Client) -> None:
    view = urlencode({"f": "lr > 0.05", "s": "-lr", "evil": "//example.org"})
    answer = editor.post("/p/bulk/runs/edit", {"action": "archive", "runs": "r1", "view": view})
    assert answer["Location"] == "/p/bulk/runs?f=lr+%3E+0.05&s=-lr"


def test_a_change_is_undone_once(project: Project, editor: Client) -> None:
    change(editor, "tag", "r0", tag="new")
    undo(editor)
    Run.objects.filter(uid="r0").update(tags=["old", "new"])
    undo(editor)
    assert tags_of("r0") == ["old", "new"]


def test_undo_is_offered_to_the_one_who_changed_until_it_is_done(
    project: Project, editor: Client, admin: Client
) -> None:
    assert ">Undo<" in change(editor, "archive", "r0")
    assert ">Undo<" not in admin.get("/p/bulk/runs").content.decode()
    undo(editor)
    assert ">Undo<" not in editor.get("/p/bulk/runs").content.decode()


def test_a_change_and_its_undoing_stand_in_the_audit_log(project: Project, editor: Client) -> None:
    change(editor, "tag", "r0,r1", tag="new")
    undo(editor)
    entries = AuditEntry.objects.filter(project=project).order_by("pk")
    assert [(e.action, e.target, e.details) for e in entries] == [
        ("runs.tagged", "2", {"tag": "new"}),
        ("runs.untagged", "2", {"tag": "new"}),
    ]


def test_a_viewer_sees_no_edit_control(project: Project) -> None:
    page = sign_in(get_user("viewer")).get("/p/bulk/runs").content.decode()
    assert "data-export" in page
    for control in ('name="action"', "data-make-study", "data-delete"):
        assert control not in page


def test_a_study_is_prefilled_with_every_run_of_a_filter(project: Project, editor: Client) -> None:
    query = urlencode({"every": "1", "f": "lr > 0.15"})
    page = editor.get(f"/p/bulk/studies/new?{query}").content.decode()
    assert "2 chosen runs" in page
