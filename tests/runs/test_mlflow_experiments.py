"""Experiments: projects to a person's token, groups of runs to the token of one project."""

from __future__ import annotations

import pytest

from teams.models import Project
from tests.runs.mlflow_calls import Mlflow, find_run, make_mlflow
from tests.teams.factories import make_project


@pytest.fixture
def bound(db: None) -> Mlflow:
    return make_mlflow()


@pytest.fixture
def person(db: None) -> Mlflow:
    return make_mlflow(is_bound=False)


def find_id(mlflow: Mlflow, name: str) -> str:
    found = mlflow.get("experiments/get-by-name", experiment_name=name)
    return found["experiment"]["experiment_id"]


def test_default_is_the_token_s_project(bound: Mlflow) -> None:
    found = bound.get("experiments/get", experiment_id="0")["experiment"]
    assert (found["name"], found["lifecycle_stage"]) == ("Default", "active")
    run = find_run(bound.start())
    assert (run.project, run.group) == (bound.project, "")


@pytest.mark.parametrize("name", ["sweep", "LR sweep / 125M", "größe ✓", "x" * 200])
def test_every_other_name_becomes_the_group_of_its_runs(bound: Mlflow, name: str) -> None:
    run = find_run(bound.start(experiment_id=find_id(bound, name)))
    assert (run.project, run.group) == (bound.project, name)


def test_the_project_s_own_name_is_no_group(bound: Mlflow) -> None:
    assert find_id(bound, bound.project.slug) == str(bound.project.pk)
    assert find_id(bound, bound.project.name) == str(bound.project.pk)


def test_an_experiment_is_read_by_the_id_that_its_runs_carry(bound: Mlflow) -> None:
    run = bound.read(bound.start(experiment_id=find_id(bound, "sweep")))
    experiment_id = run["info"]["experiment_id"]
    assert experiment_id == find_id(bound, "sweep")
    found = bound.get("experiments/get", experiment_id=experiment_id)["experiment"]
    assert found["name"] == "sweep"


def test_creating_an_experiment_names_a_group(bound: Mlflow) -> None:
    created = bound.post("experiments/create", name="sweep")
    assert created == {"experiment_id": find_id(bound, "sweep")}
    assert Project.objects.count() == 1


def test_search_lists_the_project_and_its_groups(bound: Mlflow) -> None:
    bound.start(experiment_id=find_id(bound, "b"))
    bound.start(experiment_id=find_id(bound, "a"))
    found = bound.post("experiments/search", max_results=10)["experiments"]
    assert [item["name"] for item in found] == [bound.project.name, "a", "b"]


def test_an_absent_name_is_what_clients_branch_on(person: Mlflow) -> None:
    status, code, _ = person.refuse("GET", "experiments/get-by-name", experiment_name="new")
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_creating_an_experiment_makes_a_project(person: Mlflow) -> None:
    created = person.post("experiments/create", name="Größe: LR sweep")["experiment_id"]
    project = Project.objects.get(pk=created)
    assert (project.name, project.slug) == ("Größe: LR sweep", "groe-lr-sweep")
    assert find_id(person, "Größe: LR sweep") == created
    assert find_run(person.start(experiment_id=created)).project == project


def test_creating_it_again_is_refused_as_mlflow_does(person: Mlflow) -> None:
    person.post("experiments/create", name="new")
    status, code, _ = person.refuse("POST", "experiments/create", name="new")
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_slug_that_somebody_else_has_gets_a_number(person: Mlflow) -> None:
    make_project("taken")
    created = person.post("experiments/create", name="Taken")["experiment_id"]
    assert Project.objects.get(pk=created).slug == "taken-2"


def test_the_default_comes_with_its_first_run(person: Mlflow) -> None:
    assert person.get("experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
    assert Project.objects.count() == 1
    assert find_run(person.start()).project.slug == "default"
    assert find_run(person.start()).project == Project.objects.get(slug="default")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name = 'alpha'", ["alpha"]),
        ("name != 'alpha'", ["Beta", "gamma"]),
        ("name LIKE '%a%'", ["Beta", "alpha", "gamma"]),
        ("name LIKE 'b%'", []),
        ("name ILIKE 'b_t%'", ["Beta"]),
        ("attribute.name IN ('alpha', 'gamma')", ["alpha", "gamma"]),
        ("creation_time > 0 AND name = 'gamma'", ["gamma"]),
    ],
)
def test_experiments_are_searched_by_name(person: Mlflow, text: str, names: list[str]) -> None:
    Project.objects.all().delete()
    for name in ("gamma", "alpha", "Beta"):
        person.post("experiments/create", name=name)
    answer = person.get("experiments/search", filter=text, order_by=["name ASC"], max_results="10")
    assert [item["name"] for item in answer["experiments"]] == names


def test_experiments_come_in_pages(person: Mlflow) -> None:
    Project.objects.all().delete()
    for name in ("a", "b", "c"):
        person.post("experiments/create", name=name)
    first = person.post("experiments/search", max_results=2)
    second = person.post("experiments/search", max_results=2, page_token=first["next_page_token"])
    assert [item["name"] for item in first["experiments"] + second["experiments"]] == [*"abc"]
    assert "next_page_token" not in second


@pytest.mark.parametrize("text", ["tags.a = 'b'", "name > 'a'", "creation_time = 'a'", "name"])
def test_a_search_that_makes_no_sense_is_refused(person: Mlflow, text: str) -> None:
    status, code, _ = person.refuse("GET", "experiments/search", filter=text)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")


def test_the_note_of_an_experiment_is_the_project_s_description(person: Mlflow) -> None:
    body = {"experiment_id": str(person.project.pk), "key": "mlflow.note.content", "value": "Why"}
    person.post("experiments/set-experiment-tag", **body)
    person.project.refresh_from_db()
    assert person.project.description == "Why"


@pytest.mark.parametrize("text", ["999999999", "abc", "1-!", "1-//8", "-1", "1" * 40])
def test_ids_that_are_none_are_absent(person: Mlflow, text: str) -> None:
    status, code, _ = person.refuse("GET", "experiments/get", experiment_id=text)
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
