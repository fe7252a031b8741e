"""A study as one file: what is in it, and that no text in it gets out of its place."""

from __future__ import annotations

import json
import re

import pytest

from fitting.models import Study
from fitting.services import set_exclusion
from tests.permissions.world import make_measurements
from tests.teams.factories import get_user, make_project, sign_in

BLOCK = re.compile(r'<script type="application/json" data-document="([^"]*)">(.*?)</script>')
NAME = "</script><script>alert(1)</script><!--<script>\u2028\"'&"


pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    project = make_project("alpha", vi="viewer")
    make_measurements(project)
    study = project.studies.get()
    Study.objects.filter(pk=study.pk).update(name=NAME, description=NAME)
    member = study.study_runs.get()
    set_exclusion(member, get_user("vi"), excluded=True, reason=f"bad node {NAME}")
    return study


@pytest.fixture
def text(study: Study) -> str:
    answer = sign_in(get_user("vi")).get("/p/alpha/s/lr-sweep.html")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="scaledash-lr-')
    return b"".join(answer.streaming_content).decode()


def test_every_figure_every_table_and_the_provenance_are_inside(study: Study, text: str) -> None:
    held = {name: json.loads(body) for name, body in BLOCK.findall(text)}
    wanted = set(re.findall(r'data-src="(figures/[^"]*)"', text))
    assert "figures/lr_loss.json" in wanted
    assert {name.split("?")[0] for name in wanted} == {name.split("?")[0] for name in held}
    assert held["figures/lr_loss.json?ys=lin"]["plot"] == "lr_loss"
    assert all(fit.input_digest in text for fit in study.fits.all())
    assert 'data-table="study-runs"' in text
    assert "Left out by hand: bad node" in text


def test_no_text_ends_a_script_or_becomes_markup(text: str) -> None:
    scripts = re.findall(r"<script[^>]*>", text)
    blocks = len(BLOCK.findall(text))
    assert len(scripts) == blocks + 2
    assert text.count("</script>") == blocks + 2
    assert "alert(1)</script>" not in text
    assert "<!--" not in text


def test_it_names_two_scripts_by_hash_and_allows_no_request(text: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src &#x27;none&#x27;; script-src &#x27;sha256-")
    assert policy.count("sha256-") == 2
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_nothing_in_it_leads_into_the_server_or_asks_it(text: str) -> None:
    page = BLOCK.sub("", text).partition("</style>")[2].partition("<script>")[0]
    assert re.findall(r'(?:href|src|action)="(?!#)(?!figures/)[^"]*"', page) == []
    assert "<form" not in page


def test_ids_are_unique(text: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', BLOCK.sub("", text).partition("<script>")[0])
    assert sorted(ids) == sorted(set(ids))
