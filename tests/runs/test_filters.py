"""The filter language: what it means, and where its errors point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from runs.expressions import MAX_COMPARISONS, MAX_DEPTH, BadExpression, parse
from runs.filters import BadFilter, apply_filter
from runs.models import Metric, Outcome, Run, RunState
from teams.models import Project
from tests.runs.factories import make_api
from tests.teams.factories import error_of, make_project


@pytest.fixture
def project(db: None) -> Project:
    """Four runs: a small, a large, a diverged one, and one that says nothing of itself."""
    project = make_project("sweep")
    for name in ("loss.val", "val/acc", "odd.min"):
        Metric.objects.create(project=project, name=name)
    old = datetime(2026, 1, 31, 12, tzinfo=UTC)
    made: list[dict[str, object]] = [
        {
            "uid": "small",
            "name": "qk-small",
            "n_params": 9e6,
            "peak_lr": 1e-3,
            "tags": ["ablation", "qk"],
            "group": "A1",
            "config": {"optim": {"lr": 0.001, "name": "adamw"}, "seed": 7, "qk_norm": True},
            "summary": {"loss.val": {"last": 3.0, "min": 2.9, "count": 10, "last_step": 9}},
            "facts": {"schedule": [{"value": "cosine", "source": "config"}]},
            "state": RunState.FINISHED,
            "last_step": 1000,
            "created_at": old,
        },
        {
            "uid": "large",
            "name": "large",
            "n_params": 4e8,
            "peak_lr": 3e-4,
            "tags": ["final"],
            "group": "A1",
            "config": {"optim": {"lr": "3e-4", "name": "muon"}, "seed": 8, "qk_norm": False},
            "summary": {
                "loss.val": {"last": 2.5, "min": 2.5, "count": 5, "last_step": 4},
                "val/acc": {"last": 0.5, "min": 0.1, "count": 5, "last_step": 4},
                "odd.min": {"last": 7.0, "min": 6.0, "count": 1, "last_step": 0},
            },
            "user_summary": {"verdict": "keep"},
            "state": RunState.RUNNING,
            "last_step": 20,
        },
        {
            "uid": "wild",
            "name": "wild",
            "n_params": 4e8,
            "peak_lr": 1e-1,
            "config": {"optim.lr": 0.1, "note": 'it\'s 100% "odd"'},
            "summary": {"loss.val": {"last": "NaN", "min": 3.2, "count": 5, "last_step": 4}},
            "state": RunState.CRASHED,
            "outcome": Outcome.DIVERGED,
        },
        {"uid": "bare", "name": "bare"},
    ]
    for fields in made:
        Run.objects.create(project=project, **fields)
    return project


def found(project: Project, text: str) -> set[str]:
    runs = Run.objects.filter(project=project)
    return set(apply_filter(runs, text).values_list("uid", flat=True))


ALL = {"small", "large", "wild", "bare"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ALL),
        ("lr >= 1e-3 and n_params > 100M", {"wild"}),
        ("n_params = 400M", {"large", "wild"}),
        ("params < 0.01B", {"small"}),
        ("lr in (1e-3, 3e-4)", {"small", "large"}),
        ("lr not in (1e-3, 3e-4)", {"wild", "bare"}),
        ("step >= 1k", {"small"}),
        ("step > 999.5", {"small"}),
        ("step < 1e30", {"small", "large"}),
        ("step < inf", {"small", "large"}),
        ("LR >= 1e-3 and N > 100M", {"wild"}),
        ("lr = null", {"bare"}),
        ("lr != null", {"small", "large", "wild"}),
        ("state = finished", {"small"}),
        ("state in (finished, diverged)", {"small", "wild"}),
        ("state = diverged", {"wild"}),
        ("outcome = unknown", {"small", "large", "bare"}),
        ('name ~ "qk"', {"small"}),
        ('name ~ "^(qk|large)"', {"small", "large"}),
        ('name !~ "a"', {"wild"}),
        ("group = A1 and not name = large", {"small"}),
        ("tags = ablation", {"small"}),
        ("tags in (final, ablation)", {"small", "large"}),
        ("tags != final", {"small", "wild", "bare"}),
        ("tags ~ '^abl'", {"small"}),
        ("tags = null", {"wild", "bare"}),
        ("id = bare", {"bare"}),
        ("NOT (group = A1 OR id = wild)", {"bare"}),
    ],
)
def test_columns_compare_as_what_they_are(project: Project, text: str, expected: set[str]) -> None:
    assert found(project, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config.optim.name = adamw", {"small"}),
        ('config.optim.name ~ "^mu"', {"large"}),
        ("config.optim.lr >= 3e-4", {"small", "large", "wild"}),
        ("config.optim.lr = 0.0003", {"large"}),
        ("config.seed = 7", {"small"}),
        ('config.seed = "7"', {"small"}),
        ("config.seed < 7.5", {"small"}),
        ("config.qk_norm = true", {"small"}),
        ("config.qk_norm != true", {"large", "wild", "bare"}),
        ("config.qk_norm = null", {"wild", "bare"}),
        ("config.note = 'it\\'s 100% \"odd\"'", {"wild"}),
        ("facts.schedule = cosine", {"small"}),
        ("summary.loss.val < 2.7", {"large"}),
        ("summary.loss.val.min < 2.95", {"small", "large"}),
        ("summary.loss.val.count >= 10", {"small"}),
        ("summary.loss.val = nan", {"wild"}),
        ("summary.loss.val > 0", {"small", "large"}),
        ("summary.val/acc = 0.5", {"large"}),
        ('summary."val/acc".min = 0.1', {"large"}),
        ('summary."odd.min" = 7', {"large"}),
        ("summary.odd.min.min = 6", {"large"}),
        ("summary.verdict = keep", {"large"}),
        ("loss < 2.7", {"large"}),
        ("loss = nan or loss = 3", {"small", "wild"}),
        ("not loss < 2.7", {"small", "wild", "bare"}),
    ],
)
def test_documents_are_searched_by_key(project: Project, text: str, expected: set[str]) -> None:
    assert found(project, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("created = 2026-01-31", {"small"}),
        ("created < 2026-01-31", set()),
        ("created <= 2026-01-31", {"small"}),
        ("created > 2026-01-31", ALL - {"small"}),
        ("created < 2026-01-31T12:00:01Z", {"small"}),
        ("age < 1h", ALL - {"small"}),
        ("age > 1d", {"small"}),
        ("ended = null", ALL),
    ],
)
def test_times_are_dates_moments_and_ages(project: Project, text: str, expected: set[str]) -> None:
    assert found(project, text) == expected


def test_and_binds_tighter_than_or(project: Project) -> None:
    assert found(project, "id = bare or id = small and id = large") == {"bare"}
    assert found(project, "(id = bare or id = small) and id = large") == set()


def test_config_numbers_that_are_no_float_of_postgresql_are_no_error(project: Project) -> None:
    for place, odd in enumerate(("1e999", "9" * 400, "nan(1)", "0x10", "", " 5 ", "\uff11\uff12")):
        config = {"odd": odd}
        Run.objects.create(project=project, uid=f"odd{place}", config=config)
    assert found(project, "config.odd > 0") == {"odd5"}


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("lr >=", 6, "Expected a value"),
        ("lr >= fast", 7, "no number"),
        ("lrr > 1", 1, "Did you mean lr?"),
        ("optimizer = adamw", 1, "is written config.optimizer, a metric summary.optimizer"),
        ("lr > 1 and", 11, "Expected a field"),
        ("lr > 1 name = x", 8, "Expected and, or"),
        ("(lr > 1", 8, "Expected )"),
        ("lr > 1)", 7, "Expected and, or"),
        ("lr ! 1", 4, "means nothing"),
        ("state = done", 9, "is none of running"),
        ('name ~ "(" ', 8, "PostgreSQL says"),
        ('name = "x', 8, "no end"),
        ("created > yesterday", 11, "is no date"),
        ("age > 3m", 7, "is no duration"),
        ("lr ~ 3", 1, "is no text"),
        ("lr in 1", 7, "Expected ("),
        ("lr not 1", 8, "Expected in"),
        ("lr > null", 6, "by = and != only"),
        ("config. = 1", 1, "no field"),
        ("summary.x > nan", 13, "by = and != only"),
        ('name ~ "' + "a" * 65 + '"', 8, "at most 64"),
        ("created = 0000-00-00", 11, "is no date"),
    ],
)
def test_error_points_at_its_place(
    project: Project, text: str, position: int, expected: str
) -> None:
    with pytest.raises(BadFilter) as caught:
        found(project, text)
    assert (caught.value.position, caught.value.parameter) == (position, "filter")
    assert expected in caught.value.message


def test_depth_and_number_of_comparisons_are_limited() -> None:
    parse("(" * MAX_DEPTH + "lr > 1" + ")" * MAX_DEPTH)
    parse(" or ".join(["lr > 1"] * MAX_COMPARISONS))
    with pytest.raises(BadExpression, match="levels deep"):
        parse("(" * (MAX_DEPTH + 1) + "lr > 1" + ")" * (MAX_DEPTH + 1))
    with pytest.raises(BadExpression, match="comparisons"):
        parse(" or ".join(["lr > 1"] * (MAX_COMPARISONS + 1)))
    with pytest.raises(BadExpression, match="at most 1,000 characters"):
        parse("lr > 1" + " " * 1_000)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        parse(text)
    except BadExpression as error:
        assert 1 <= error.position <= len(text) + 1


PIECES = st.sampled_from(
    (
        "lr config.a loss tags state created age ( ) and or not in , = != < >= ~ 1 1e999 100M "
        f'"x" null nan finished 2026-01-31 {"9" * 30}d -inf true summary.a.min step \\ %s \';--'
    ).split()
)


def test_any_sentence_of_the_language_is_answered_or_refused(project: Project) -> None:
    @given(st.lists(PIECES, min_size=1, max_size=9).map(" ".join))
    def check(text: str) -> None:
        try:
            assert found(project, text) <= ALL
        except BadFilter as error:
            assert error.position is not None

    check()


@pytest.fixture
def api(project: Project) -> object:
    return make_api(project)


def listed(api: object, query: str) -> list[str]:
    answer = api.get(f"runs?project=sweep&{query}")
    assert answer.status_code == 200, answer.content
    return [item["id"] for item in answer.json()["items"]]


def test_list_takes_a_filter_beside_other_parameters(api: object) -> None:
    assert listed(api, "filter=lr%20%3E%201e-4&tag=final") == ["large"]


def test_bad_filter_is_422_with_its_place(api: object) -> None:
    answer = api.get("runs?filter=lr%20%3E%3D%20fast")
    assert error_of(answer) == (422, "wrong_type", "filter")
    assert answer.json()["error"]["message"].startswith("At character 7: 'fast' is no number")


def test_list_orders_by_loss_with_runs_without_one_last(api: object) -> None:
    assert listed(api, "order=loss")[:2] == ["large", "small"]
    assert listed(api, "order=-loss")[:2] == ["small", "large"]


@pytest.mark.parametrize("order", ["loss", "-config.optim.lr", "summary.loss.val.min", "name"])
def test_pages_of_any_order_hold_every_run_once(api: object, order: str) -> None:
    seen, cursor = [], ""
    for _ in range(5):
        page = api.get(f"runs?project=sweep&order={order}&limit=1&cursor={cursor}").json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"] or "end"
        if cursor == "end":
            break
    assert seen == listed(api, f"order={order}")
    assert set(seen) == ALL


def test_columns_reach_into_config_and_summary(api: object) -> None:
    columns = "name,config.optim.lr,summary.loss.val,summary.loss.val.min"
    items = api.get(f"runs?project=sweep&filter=id=wild&columns={columns}").json()["items"]
    assert items == [
        {
            "id": "wild",
            "project": "sweep",
            "name": "wild",
            "config.optim.lr": 0.1,
            "summary.loss.val": "NaN",
            "summary.loss.val.min": 3.2,
        }
    ]


def test_unknown_column_and_order_name_what_exists(api: object) -> None:
    assert error_of(api.get("runs?columns=lrr")) == (422, "unknown_value", "columns")
    assert error_of(api.get("runs?order=config")) == (422, "unknown_value", "order")


def test_filter_sees_no_run_of_another_project(api: object) -> None:
    Run.objects.create(project=make_project("other"), uid="foreign", peak_lr=1.0)
    answer = api.get("runs?filter=lr%20%3E%200")
    assert "foreign" not in [item["id"] for item in answer.json()["items"]]


def test_list_takes_as_many_queries_for_many_runs_as_for_one(
    api: object, django_assert_max_num_queries: object
) -> None:
    project = Project.objects.get(slug="sweep")
    now = timezone.now() - timedelta(days=1)
    Run.objects.bulk_create(
        Run(project=project, uid=f"n{number}", created_at=now) for number in range(50)
    )
    with django_assert_max_num_queries(8):
        listed(api, "filter=age%20%3E%201h&columns=config.seed&order=loss")
