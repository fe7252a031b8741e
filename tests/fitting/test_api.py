"""The study endpoints: documents, strict bodies, errors, ETags."""

from __future__ import annotations

import pytest

from fitting.models import Study
from fitting.queries import ANALYSES
from teams.models import Project
from tests.fitting.factories import make_run, make_study, make_sweep, settle
from tests.teams.factories import Api, api_of, error_of, get_user, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project("alpha", ann="editor", vic="viewer")


@pytest.fixture
def api(project: Project) -> Api:
    return api_of(get_user("ann"))


@pytest.fixture
def fitted(project: Project, transactional_db: None) -> Study:
    study = make_study(project, "sweep")
    make_sweep(study)
    settle()
    return study


def test_a_study_is_created_with_defaults(api: Api) -> None:
    answer = api.post("studies", {"project": "alpha", "slug": "lr-sweep"})
    document = answer.json()
    assert (answer.status_code, document["name"], document["variant_keys"]) == (
        201,
        "lr-sweep",
        None,
    )
    assert (document["selection"], document["created_by"]) == ({"kind": "list"}, "ann")


def test_a_created_study_can_be_read_listed_and_changed(api: Api) -> None:
    made = api.post("studies", {"project": "alpha", "slug": "one", "variant_keys": []}).json()
    assert api.get(f"studies/{made['id']}").json()["variant_keys"] == []
    assert [item["slug"] for item in api.get("studies?project=alpha").json()["items"]] == ["one"]
    changed = api.patch(f"studies/{made['id']}", {"variant_keys": None, "estimator": "best"})
    assert (changed.json()["variant_keys"], changed.json()["estimator"]) == (None, "best")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"slug": "a b"}, (422, "invalid", "/slug")),
        ({"slug": "x", "selection": {"kind": "some"}}, (422, "unknown_value", "/selection")),
        ({"slug": "x", "selection": "all"}, (422, "wrong_type", "/selection")),
        ({"slug": "x", "mapping": {"n": 3}}, (422, "wrong_type", "/mapping/n")),
        ({"slug": "x", "mapping": {"n": "waist"}}, (422, "unknown_value", "/mapping/n")),
        ({"slug": "x", "tail_fraction": "0.1"}, (422, "wrong_type", "/tail_fraction")),
        ({"slug": "x", "tail_fraction": 2}, (422, "out_of_range", "/tail_fraction")),
        ({"slug": "x", "estimator": "mode"}, (422, "unknown_value", "/estimator")),
        ({"slug": "x", "variant_keys": "qk_norm"}, (422, "wrong_type", "/variant_keys")),
        ({"slug": "x", "n_runs": 3}, (422, "unknown_field", "/n_runs")),
        ({}, (422, "required", "/slug")),
    ],
)
def test_a_wrong_body_names_its_first_bad_field(
    api: Api, body: dict[str, object], error: tuple[int, str, str]
) -> None:
    assert error_of(api.post("studies", {"project": "alpha", **body})) == error


def test_a_taken_slug_is_a_conflict(api: Api) -> None:
    api.post("studies", {"project": "alpha", "slug": "one"})
    answer = api.post("studies", {"project": "alpha", "slug": "one"})
    assert error_of(answer) == (409, "slug_taken", "/slug")


def test_a_viewer_reads_and_changes_nothing(project: Project) -> None:
    study, viewer = make_study(project), api_of(get_user("vic"))
    assert viewer.get(f"studies/{study.pk}").status_code == 200
    assert error_of(viewer.patch(f"studies/{study.pk}", {"name": "x"}))[:2] == (403, "role")


def test_a_deleted_study_is_gone(api: Api, project: Project) -> None:
    study = make_study(project)
    assert api.delete(f"studies/{study.pk}").status_code == 204
    assert api.get(f"studies/{study.pk}").status_code == 404
    assert api.get("studies").json()["items"] == []


@pytest.mark.parametrize("study_id", ["0", "999999", "99999999999999999999999"])
def test_an_absent_study_is_404(api: Api, study_id: str) -> None:
    assert api.get(f"studies/{study_id}").status_code == 404


def test_runs_are_added_listed_and_removed(api: Api, project: Project) -> None:
    study, run = make_study(project), make_run(project, 2.5, uid="mine")
    assert api.post(f"studies/{study.pk}/runs", {"runs": ["mine"]}).json() == {"added": 1}
    (row,) = api.get(f"studies/{study.pk}/runs").json()["items"]
    assert (row["run"], row["n"], row["lr"], row["loss"]) == ("mine", 9000.0, 0.01, 2.5)
    assert api.delete(f"studies/{study.pk}/runs/mine").status_code == 204
    assert api.get(f"studies/{study.pk}/runs").json()["items"] == []
    assert run.study_runs.count() == 0


def test_an_unknown_run_is_named(api: Api, project: Project) -> None:
    study = make_study(project)
    make_run(project, uid="mine")
    answer = api.post(f"studies/{study.pk}/runs", {"runs": ["mine", "yours"]})
    assert error_of(answer) == (422, "unknown_value", "/runs/1")


def test_runs_of_another_project_are_unknown(api: Api, project: Project) -> None:
    study = make_study(project)
    make_run(make_project(ann="editor"), uid="elsewhere")
    assert api.post(f"studies/{study.pk}/runs", {"runs": ["elsewhere"]}).status_code == 422


def test_an_exclusion_is_stored_with_its_author(api: Api, project: Project) -> None:
    study = make_study(project, selection={"kind": "all"})
    make_run(project, uid="mine")
    api.post(f"studies/{study.pk}/runs", {"runs": ["mine"]})
    body = {"run": "mine", "excluded": True, "reason": "a loose cable"}
    assert api.post(f"studies/{study.pk}/exclusions", body).status_code == 200
    (item,) = api.get(f"studies/{study.pk}/exclusions").json()["items"]
    assert (item["run"], item["by"], item["reason"]) == ("mine", "ann", "a loose cable")


def test_a_selected_run_is_excluded_not_removed(api: Api, project: Project) -> None:
    make_run(project, uid="mine")
    study = make_study(project, selection={"kind": "all"})
    assert error_of(api.delete(f"studies/{study.pk}/runs/mine"))[:2] == (409, "selected")


def test_fits_have_a_history_with_versions(api: Api, fitted: Study) -> None:
    items = api.get(f"studies/{fitted.pk}/fits").json()["items"]
    assert [item["version"] for item in items] == list(range(len(items), 0, -1))
    first = api.get(f"studies/{fitted.pk}/fits/1").json()
    assert len(first["result"]["scales"]) == 3
    assert api.get(f"studies/{fitted.pk}/fits/{len(items) + 1}").status_code == 404
    assert api.get(f"studies/{fitted.pk}").json()["fit"]["version"] == len(items)


def test_pages_of_the_history_keep_their_versions(api: Api, fitted: Study) -> None:
    page = api.get(f"studies/{fitted.pk}/fits?limit=1").json()
    rest = api.get(f"studies/{fitted.pk}/fits?cursor={page['next']}").json()
    assert [item["version"] for item in page["items"] + rest["items"]] == [2, 1]


def test_an_unknown_analysis_is_named(api: Api, fitted: Study) -> None:
    answer = api.get(f"studies/{fitted.pk}/fits?analysis=tea_leaves")
    assert error_of(answer) == (422, "unknown_value", "analysis")


@pytest.mark.parametrize("name", ["lr_loss", "lr_sensitivity", "lr_optimum"])
def test_a_figure_is_served_once_and_then_unchanged(api: Api, fitted: Study, name: str) -> None:
    path = f"studies/{fitted.pk}/figures/{name}"
    answer = api.get(path)
    assert answer.json()["plot"] == name
    again = api.get(path, **{"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_figure_with_other_options_is_another_version(api: Api, fitted: Study) -> None:
    path = f"studies/{fitted.pk}/figures/lr_loss"
    assert api.get(path)["ETag"] != api.get(f"{path}?ys=excess")["ETag"]
    assert api.get(f"{path}?ys=%22%0d%0aX").status_code == 200


def test_every_option_of_a_figure_is_in_its_tag(api: Api, fitted: Study) -> None:
    path = f"studies/{fitted.pk}/figures/surface"
    tags = {api.get(f"{path}?{query}")["ETag"] for query in ("", "color=residual", "family=1")}
    assert len(tags) == 3


def test_an_unknown_figure_is_404(api: Api, fitted: Study) -> None:
    assert api.get(f"studies/{fitted.pk}/figures/pie").status_code == 404


def test_the_grid_counts_runs_by_state(api: Api, project: Project) -> None:
    study = make_study(project, selection={"kind": "all"})
    runs = [make_run(project), make_run(project, state="running"), make_run(project, float("nan"))]
    api.post(f"studies/{study.pk}/runs", {"runs": [run.uid for run in runs]})
    grid = api.get(f"studies/{study.pk}/grid").json()
    (cell,) = grid["variants"][0]["cells"][0]
    assert (grid["scales"], grid["lrs"]) == ([9000.0], [0.01])
    assert (cell["done"], cell["running"], cell["diverged"]) == (1, 1, 1)


def test_a_revision_stands_still_until_something_moves(api: Api, fitted: Study) -> None:
    path = f"studies/{fitted.pk}/revision"
    first = api.get(path)
    assert first.json()["fitting"] is None
    assert api.get(path, **{"If-None-Match": first["ETag"]}).status_code == 304
    make_run(fitted.project, uid="late")
    api.post(f"studies/{fitted.pk}/runs", {"runs": ["late"]})
    moved = api.get(path, **{"If-None-Match": first["ETag"]})
    assert (moved.status_code, moved.json()["fitting"]) == (200, {"done": 0, "of": len(ANALYSES)})


def test_the_revision_of_a_fit_moves_only_with_a_new_version(api: Api, fitted: Study) -> None:
    path, part = f"studies/{fitted.pk}/revision", f"fit:{fitted.pk}"
    before = api.get(path).json()["parts"][part]
    api.patch(f"studies/{fitted.pk}", {"description": "the same data"})
    settle()
    assert api.get(path).json()["parts"][part] == before
    api.patch(f"studies/{fitted.pk}", {"estimator": "best"})
    settle()
    assert api.get(path).json()["parts"][part] != before
