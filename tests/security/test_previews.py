"""Preview pictures of share links: shown with the link, and gone with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from teams.models import Project, Share
from teams.sharing import ShareWish, Subject, create_share, revoke_share
from tests.permissions.world import make_measurements
from tests.scaledash.test_png import make_png
from tests.teams.factories import get_user, make_project, sign_in

SECRET_TITLE = "Quarterly-3301"


@pytest.fixture
def project(db: None) -> Project:
    project = make_project("alpha", ed="editor")
    make_measurements(project)
    return project


def share(project: Project, **options: object) -> tuple[Share, str]:
    subject = Subject({"study": project.studies.get().pk}, SECRET_TITLE)
    return create_share(project, get_user("ed"), ShareWish("study", subject, **options))


def send(share: Share, picture: bytes, content_type: str = "image/png") -> HttpResponse:
    path = f"/p/alpha/shares/{share.pk}/preview.json"
    return sign_in(get_user("ed")).post(path, picture, content_type=content_type)


def read(token: str, part: str = "preview.png") -> HttpResponse:
    return Client().get(f"/s/{token}/{part}")


def test_picture_is_named_by_the_page_and_shown_to_whoever_holds_the_link(
    project: Project,
) -> None:
    made, token = share(project)
    assert "og:image" not in read(token, "").content.decode()
    assert read(token).status_code == 404
    assert send(made, make_png()).status_code == 204
    page = read(token, "").content.decode()
    assert f'property="og:image" content="http://testserver/s/{token}/preview.png"' in page
    picture = read(token)
    assert picture.content == make_png()
    assert (picture["Content-Type"], picture["X-Robots-Tag"]) == ("image/png", "noindex")
    assert "no-store" in picture["Cache-Control"]


def test_t05_link_with_a_password_tells_messengers_nothing(project: Project) -> None:
    made, token = share(project, password="open-sesame-9")
    answer = send(made, make_png())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "has_password")
    page = read(token, "").content.decode()
    assert "og:" not in page
    assert SECRET_TITLE not in page
    assert read(token).status_code == 404


@pytest.mark.parametrize("end", ["revoke", "expire"])
def test_t05_picture_is_gone_with_the_link(project: Project, end: str) -> None:
    made, token = share(project)
    send(made, make_png())
    if end == "revoke":
        revoke_share(made)
    else:
        Share.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert read(token).status_code == 404
    page = read(token, "").content.decode()
    assert "og:" not in page
    assert SECRET_TITLE not in page


def test_second_picture_is_refused(project: Project) -> None:
    made, token = share(project)
    send(made, make_png())
    assert send(made, make_png(sides=(1, 1), rows=b"\0abcd")).status_code == 409
    assert read(token).content == make_png()


@pytest.mark.parametrize(
    ("picture", "content_type", "status", "code"),
    [
        (b"\x89PNG" + b"x" * settings.MAX_PREVIEW_BYTES, "image/png", 413, "too_large"),
        (b"x" * (settings.MAX_BODY_BYTES + 1), "image/png", 413, "too_large"),
        (b"<svg onload=alert(1)>", "image/png", 422, "bad_picture"),
        (make_png(), "image/svg+xml", 415, "unsupported_media_type"),
    ],
)
def test_t10_what_is_no_small_png_is_refused(
    project: Project, picture: bytes, content_type: str, status: int, code: str
) -> None:
    made, token = share(project)
    answer = send(made, picture, content_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert read(token).status_code == 404
