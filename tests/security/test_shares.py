"""Share links: what a holder reaches, and what nobody reaches any more."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from fitting.diagnoses.outcome import override_outcome
from fitting.diagnoses.publishing import describe
from fitting.maths.diagnose.verdict import Threshold, Verdict
from fitting.models import RunDiagnosis, Study
from runs.models import Run
from runs.services import delete_run
from teams import services, sharing
from teams.models import Project, Scope, Share
from teams.principals import Principal
from tests.permissions.world import make_measurements
from tests.teams.factories import Api, get_user, make_project, make_token, sign_in

NOTE = "Confidential-4410"
HOST = "gpu-node-17.internal"
NAME = "Unspoken-Name"
SUBJECTS = {
    "study": ("study", "lr-sweep"),
    "run": ("run", "run-1"),
    "comparison": ("comparison", "run-1,run-2"),
    "table": ("view", "runs?f=name != null&cols=name,loss"),
    "curves": ("view", "explore?m=train/loss"),
}


@pytest.fixture
def project(db: None) -> Project:
    project = make_project("alpha", ed="editor", vi="viewer", boss="admin")
    make_measurements(project)
    services.update_project(project, name=NAME, description=NAME)
    log(project, {1: 3.0, 2: "NaN", 3: 2.5})
    Run.objects.update(notes=NOTE, host={"hostname": HOST, "command": "python train.py"})
    Study.objects.update(description=NOTE)
    return project


def log(project: Project, losses: dict[int, object]) -> None:
    api = Api(make_token(get_user("boss"), Scope.WRITE, project))
    points = [{"step": step, "train/loss": loss} for step, loss in losses.items()]
    assert api.post("runs/run-1/metrics", {"points": points}).status_code < 300


def make_link(project: Project, kind: str = "study", **options: object) -> str:
    editor = get_user("ed")
    kind, subject_id = SUBJECTS[kind]
    query = QueryDict(mutable=True)
    query["id"] = subject_id
    subject = sharing.KINDS[kind].choose(Principal(user_id=editor.pk), project, query)
    wish = sharing.ShareWish(kind=kind, subject=subject, **options)
    return sharing.create_share(project, editor, wish)[1]


def crawl(token: str) -> dict[str, str]:
    """Read the page and everything that it names below its own path."""
    stranger, found = Client(), {}
    waiting = [f"/s/{token}/", f"/s/{token}/page.json"]
    while waiting:
        url = waiting.pop()
        answer = stranger.get(url)
        assert answer.status_code == 200, url
        found[url] = answer.content.decode()
        named = {link.replace("&amp;", "&") for link in re.findall(r'="(/[^"]*)"', found[url])}
        named = {link for link in named if not link.startswith("/static/")}
        assert all(link.startswith(f"/s/{token}/") for link in named), named
        waiting += named - set(found) - set(waiting)
    return found


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("kind", SUBJECTS)
def test_t05_a_crawl_from_a_link_reaches_nothing_else(
    project: Project, kind: str, is_frozen: bool
) -> None:
    pages = crawl(make_link(project, kind, is_frozen=is_frozen))
    assert len(pages) > 1
    for url, text in pages.items():
        for inner in (NAME, NOTE, HOST, "train.py", "/p/", "/api/", '"alpha"', "csrf"):
            assert inner not in text, f"{inner} in {url}"


@pytest.mark.parametrize("kind", ["study", "run"])
def test_t05_notes_are_shown_only_if_they_were_included(project: Project, kind: str) -> None:
    page = Client().get(f"/s/{make_link(project, kind, with_notes=True)}/").content.decode()
    assert NOTE in page


def test_t05_parts_that_were_not_shared_are_404(project: Project) -> None:
    token = make_link(project)
    for part in ("curves.json", "figures/none.json", "../p/alpha/runs", "settings", "figures/"):
        assert Client().get(f"/s/{token}/{part}").status_code == 404, part


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_t05_a_link_only_reads(project: Project, method: str) -> None:
    token = make_link(project)
    for part in ("", "rev.json"):
        assert getattr(Client(), method)(f"/s/{token}/{part}").status_code in (404, 405)


def test_t05_answers_are_kept_from_caches_searches_and_referrers(project: Project) -> None:
    token = make_link(project)
    for url in (f"/s/{token}/", f"/s/{token}/rev.json", "/s/unknown/"):
        headers = Client().get(url).headers
        assert "no-store" in headers["Cache-Control"]
        assert headers["X-Robots-Tag"] == "noindex"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("is_frozen", [False, True])
def test_t05_shared_run_shows_its_verdicts_without_names_of_members(
    project: Project, is_frozen: bool
) -> None:
    run = Run.objects.get(uid="run-1")
    own = Threshold("watch", 50.0, "largest attention logit", "set by boss on 2026-01-02")
    verdict = Verdict("attention_logits", "warn", "Attention logits grow.", thresholds=(own,))
    values = {"attempt": 0, "token": 1, "rev": 1, "digest": "", "state": b"", "worst": "warn"}
    times = {"data_at": timezone.now(), "duration_seconds": 0.1, "is_rebuilt": True}
    RunDiagnosis.objects.create(run=run, verdicts=[describe(verdict)], **values, **times)
    override_outcome(run, get_user("boss"), "diverged", "seen by eye")
    page = Client().get(f"/s/{make_link(project, 'run', is_frozen=is_frozen)}/").content.decode()
    assert "Attention logits grow." in page
    assert "set by the project" in page
    assert "seen by eye" in page
    assert "boss" not in page


def test_t05_dead_links_are_one_and_the_same_404(project: Project) -> None:
    revoked, expired, orphan = (make_link(project, kind) for kind in ("study", "study", "run"))
    find = services.hash_secret
    sharing.revoke_share(Share.objects.get(sha256=find(revoked)))
    past = timezone.now() - timedelta(seconds=1)
    Share.objects.filter(sha256=find(expired)).update(expires_at=past)
    delete_run(Run.objects.get(uid="run-1"))
    for part in ("", "page.json", "rev.json"):
        answers = [Client().get(f"/s/{t}/{part}") for t in (revoked, expired, orphan, "A" * 43)]
        assert {answer.status_code for answer in answers} == {404}
        plain = {re.sub(rb'nonce="[^"]*"', b"", answer.content) for answer in answers}
        assert len(plain) == 1


def test_t05_deleted_project_takes_its_links_along(project: Project) -> None:
    tokens = [make_link(project), make_link(project, is_frozen=True)]
    services.delete_project(project)
    assert {Client().get(f"/s/{token}/").status_code for token in tokens} == {404}


def test_t05_only_the_hash_of_a_token_is_stored(project: Project) -> None:
    token = make_link(project)
    assert token not in str(list(Share.objects.values()))
    assert token not in sign_in(get_user("ed")).get("/p/alpha/settings.json").content.decode()


def test_live_link_follows_the_data_and_a_frozen_one_does_not(project: Project) -> None:
    live, frozen = make_link(project, "run"), make_link(project, "run", is_frozen=True)
    before = crawl(frozen)
    query = "curves.json?m=train%2Floss"
    points = Client().get(f"/s/{frozen}/{query}").json()
    assert points["charts"][0]["points_total"] == 3
    log(project, {4: 2.25})
    assert Client().get(f"/s/{live}/{query}").json()["charts"][0]["points_total"] == 4
    assert Client().get(f"/s/{frozen}/{query}").json() == points
    assert strip_nonces(crawl(frozen)) == strip_nonces(before)


def test_shared_data_are_compressed_and_not_sent_twice(project: Project) -> None:
    url = f"/s/{make_link(project)}/page.json"
    gzip = {"Accept-Encoding": "gzip"}
    answer = Client().get(url, headers=gzip)
    assert answer["Content-Encoding"] == "gzip"
    again = Client().get(url, headers={**gzip, "If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_frozen_study_stays_after_its_runs_are_deleted(project: Project) -> None:
    frozen, live = make_link(project, is_frozen=True), make_link(project)
    figure = Client().get(f"/s/{frozen}/figures/lr_loss.json").json()
    page = Client().get(f"/s/{live}/page.json").json()
    delete_run(Run.objects.get(uid="run-1"))
    assert Client().get(f"/s/{frozen}/figures/lr_loss.json").json() == figure
    assert Client().get(f"/s/{live}/page.json").json()["n_runs"] == page["n_runs"] - 1


def strip_nonces(pages: dict[str, str]) -> dict[str, str]:
    return {url: re.sub(r'nonce="[^"]*"', "", text) for url, text in pages.items()}


def test_unchanged_part_is_304(project: Project) -> None:
    url = f"/s/{make_link(project)}/page.json"
    tag = Client().get(url)["ETag"]
    assert Client().get(url, headers={"If-None-Match": tag}).status_code == 304


def test_password_opens_the_link_for_this_browser_only(project: Project) -> None:
    url = f"/s/{make_link(project, password='open-sesame-9')}/"
    guest = Client()
    assert "data-share" not in guest.get(url).content.decode()
    assert guest.get(f"{url}rev.json").status_code == 404
    assert guest.post(url, {"password": "wrong"}).status_code == 422
    assert guest.post(url, {"password": "open-sesame-9"}).status_code == 302
    assert "data-share" in guest.get(url).content.decode()
    assert guest.get(f"{url}rev.json").status_code == 200
    assert Client().get(f"{url}rev.json").status_code == 404


def test_password_of_a_link_that_is_guessed_at_once_is_refused(project: Project) -> None:
    form = {"title": "For review", "mode": "live", "lifetime_days": "7", "password": "sesame7"}
    answer = sign_in(get_user("ed")).post("/p/alpha/shares/new?kind=study&id=lr-sweep", form)
    assert answer.status_code == 422
    assert "at least 8 characters" in answer.content.decode()
    assert not Share.objects.exists()


def test_t19_sixth_wrong_password_of_a_link_is_429(project: Project) -> None:
    url = f"/s/{make_link(project, password='open-sesame-9')}/"
    statuses = [Client().post(url, {"password": "wrong"}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


def test_editor_makes_a_link_sees_its_count_and_revokes_it(project: Project) -> None:
    editor = sign_in(get_user("ed"))
    form = {"title": "For review", "mode": "live", "lifetime_days": "7", "password": ""}
    page = editor.post("/p/alpha/shares/new?kind=study&id=lr-sweep", form).content.decode()
    address = re.search(r"/s/[A-Za-z0-9_-]{43}/", page).group()
    assert Client().get(address).status_code == 200
    Client().get(address, headers={"Sec-Fetch-Dest": "empty"})  # the page reads itself again
    share = editor.get("/p/alpha/settings.json").json()["shares"][0]
    assert (share["title"], share["n_opened"], share["state"]) == ("For review", 1, "active")
    assert editor.post(f"/p/alpha/shares/{share['id']}/revoke").status_code == 302
    assert Client().get(address).status_code == 404


def test_t02_link_of_another_project_cannot_be_revoked_or_made(project: Project) -> None:
    token = make_link(project)
    share = Share.objects.get(sha256=services.hash_secret(token))
    make_project("beta", other="admin")
    other = sign_in(get_user("other"))
    assert other.post(f"/p/beta/shares/{share.pk}/revoke").status_code == 404
    assert other.get("/p/beta/shares/new?kind=study&id=lr-sweep").status_code == 404
    assert Client().get(f"/s/{token}/").status_code == 200


@pytest.mark.parametrize(("user", "has_button"), [("vi", False), ("ed", True)])
def test_share_button_is_there_for_who_may_share(
    project: Project, user: str, has_button: bool
) -> None:
    for path in ("/p/alpha/s/lr-sweep", "/p/alpha/r/run-1"):
        page = sign_in(get_user(user)).get(path).content.decode()
        assert ("/p/alpha/shares/new" in page) == has_button
