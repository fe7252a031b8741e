"""The runs table in a browser: filter, completion, sort, columns, pages; all of it in the URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from runs.models import Run
from teams.models import Project
from tests.browser.logger import Logger

OpenPage = Callable[..., Page]
DASH = "\N{EN DASH}"
ROWS = "[data-table=runs] tbody tr"


def query_of(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def names_of(page: Page) -> list[str]:
    return page.locator(f"{ROWS} th").all_inner_texts()


@pytest.fixture
def sweep(logger: Logger) -> None:
    """Log four runs: two rates, two optimizers, the loss equal to their number."""
    for place, (lr, optimizer) in enumerate(
        ((1e-4, "adamw"), (1e-2, "adamw"), (1e-4, "lion"), (1e-2, "lion")), 1
    ):
        config = {"optimizer": optimizer, "optim": {"lr": lr}}
        run = logger.start(f"r{place}", name=f"run-{place}", config=config, scale={"peak_lr": lr})
        run.log([1], train_loss=[float(place)])
        run.finish()


@pytest.mark.usefixtures("sweep")
def test_a_filter_is_counted_applied_and_kept_by_a_reload(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.fill("[data-filter]", "lr >= 1e-3")
    expect(page.locator("[data-filter-note]")).to_have_text("2 of 4 runs match; Enter shows them")
    page.press("[data-filter]", "Enter")
    expect(page.locator(ROWS)).to_have_count(2)
    assert names_of(page) == ["run-4", "run-2"]
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert names_of(page) == ["run-4", "run-2"]
    assert page.input_value("[data-filter]") == "lr >= 1e-3"
    assert page.inner_text(".table-foot span") == f"1{DASH}2 of 2"
    page.emulate_media(media="print")
    expect(page.locator("[data-filter]")).to_be_visible()
    expect(page.locator(".filter-row :is(button, [name=q], .menus)").first).to_be_hidden()


@pytest.mark.usefixtures("sweep")
def test_a_wrong_filter_keeps_the_rows_and_puts_the_caret_on_the_mistake(
    open_page: OpenPage,
) -> None:
    page = open_page("/p/tiny/runs")
    page.fill("[data-filter]", "lr >= fast and loss < 3")
    page.press("[data-filter]", "Enter")
    expect(page.locator("pre.caret")).to_have_text("lr >= fast and loss < 3\n      ^")
    expect(page.locator("[data-filter-note]")).to_contain_text("'fast' is no number such as")
    assert page.evaluate("document.activeElement.selectionStart") == 6
    assert page.get_attribute("[data-filter]", "aria-invalid") == "true"
    assert len(names_of(page)) == 4
    assert query_of(page) == {}


@pytest.mark.usefixtures("sweep")
def test_a_filter_is_written_from_completions_alone(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.press("body", "/")
    for typed, choice in (("optimiz", "config.optimizer"), ("", "="), ("", "lion")):
        page.keyboard.type(typed)
        option = page.locator("#filter-choices li").filter(has_text=choice).first
        expect(option).to_be_visible()
        option.click()
    assert page.input_value("[data-filter]") == "config.optimizer = lion "
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(2)
    assert query_of(page) == {"f": "config.optimizer = lion"}


@pytest.mark.usefixtures("sweep")
def test_a_filter_finds_exactly_the_seeded_runs_and_a_pattern_is_counted_first(
    open_page: OpenPage, project: Project
) -> None:
    Run.objects.filter(uid__in=("r1", "r4")).update(outcome="diverged")
    page = open_page("/p/tiny/runs")
    page.fill("[data-filter]", "lr >= 1e-3 and outcome = diverged")
    page.press("[data-filter]", "Enter")
    expect(page.locator(ROWS)).to_have_count(1)
    page.reload()
    assert names_of(page) == ["run-4"]
    page.fill("[data-filter]", "")
    page.fill("[name=q]", "run-[12]$")
    note = page.locator("[data-filter-note]")
    expect(note).to_have_text("2 of 4 runs match; Enter shows them")
    page.fill("[name=q]", "run-[12")
    page.press("[name=q]", "Enter")
    expect(note).to_contain_text("bracket")
    assert page.get_attribute("[name=q]", "aria-invalid") == "true"
    assert len(names_of(page)) == 1


@pytest.mark.usefixtures("sweep")
def test_no_match_names_the_filter_and_clears_it_alone(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?f=lr+%3E+5&s=loss")
    expect(page.locator("#runs h2")).to_have_text("No run matches lr > 5")
    page.click("text=Clear filter")
    expect(page.locator(ROWS)).to_have_count(4)
    assert query_of(page) == {"s": "loss"}


@pytest.mark.usefixtures("sweep")
def test_sorting_is_in_the_address_and_back_undoes_it(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.click("th a:has-text('Loss')")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Loss")
    assert names_of(page)[0] == "run-4"
    page.click("th a:has-text('Loss')")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Loss")
    assert names_of(page)[0] == "run-1"
    page.go_back()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Loss")


@pytest.mark.usefixtures("sweep")
def test_a_key_of_config_becomes_a_column(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.click("[data-key-menu=cols] summary")
    page.fill("[data-key-menu=cols] [data-key-search]", "optim.lr")
    page.click("[data-key-menu=cols] [data-key-found] input")
    expect(page.locator("thead th", has_text="optim.lr")).to_be_visible()
    assert query_of(page)["cols"].endswith(",config.optim.lr")
    page.reload()
    expect(page.locator("thead th", has_text="optim.lr")).to_be_visible()
    expect(page.locator("[data-field='config.optim.lr']")).to_be_checked()


@pytest.mark.usefixtures("sweep")
def test_columns_are_found_and_moved_by_keys(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    menu = page.locator("[data-key-menu=cols]")
    menu.locator("summary").press("Enter")
    menu.locator("[data-key-search]").fill("FLOPs")
    expect(menu.locator("[data-key-choices] .key-row:visible")).to_have_count(1)
    menu.locator("[data-field=c]").press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("thead th")).to_have_text(
        ["", "Name", "State", "N", "C", "D", "LR", "Step", "Loss", "Group", "Tags", "Changed"]
    )
    assert page.evaluate("document.activeElement.ariaLabel") == "Move C up"
    assert query_of(page)["cols"].startswith("name,state,n,c,d,lr")
    menu.locator("[data-key-default]").press("Enter")
    expect(page.locator("thead th >> nth=4")).to_have_text("D")
    assert query_of(page) == {}


@pytest.mark.usefixtures("sweep")
def test_menus_open_within_the_screen_of_a_telephone(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs", width=360)
    for menu in ("[data-key-menu=cols]", "[data-key-menu=by]", "[data-views]"):
        page.click(f"{menu} summary")
        box = page.locator(f"{menu} .menu-body").bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360, menu
        page.keyboard.press("Escape")


@pytest.mark.usefixtures("sweep")
def test_a_view_that_the_server_refuses_says_so_and_comes_by_retry(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.route("**/runs?s=*", lambda route: route.fulfill(status=503))
    page.click("th a:has-text('Loss')")
    expect(page.locator("[data-failed]")).to_contain_text("The server answered 503. http_503")
    assert len(names_of(page)) == 4
    page.unroute("**/runs?s=*")
    page.click("[data-failed] [data-retry]")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Loss")
    expect(page.locator("[data-failed]")).to_have_count(0)
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")


def test_pages_follow_each_other_without_a_new_document_below_a_head_that_stays(
    open_page: OpenPage, project: Project
) -> None:
    Run.objects.bulk_create(
        Run(project=project, uid=f"r{place:03}", state="finished") for place in range(250)
    )
    page = open_page("/p/tiny/runs?cols=" + ",".join(f"config.{'k' * 30}{n}" for n in range(20)))
    frame, corner = page.locator("#runs > .table-scroll"), page.locator("thead th.name")
    before = corner.bounding_box()
    frame.evaluate("frame => frame.scrollTo(500, 900)")
    assert corner.bounding_box() == before
    expect(page.locator("tbody tr >> nth=0")).not_to_be_in_viewport()
    expect(page.locator(".table-foot nav")).to_be_in_viewport(ratio=1)
    page.evaluate("document.body.dataset.same = 'yes'")
    page.click("a[rel=next]")
    expect(page.locator(".table-foot span")).to_have_text(f"101{DASH}200 of 250")
    assert page.get_attribute("body", "data-same") == "yes"
    assert query_of(page)["p"] == "2"
    assert frame.evaluate("frame => [frame.scrollLeft, frame.scrollTop]") == [500, 0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", {"expect": "field", "field": "", "word": "", "start": 0}),
        ("lr > 1 and opt", {"expect": "field", "field": "lr", "word": "opt", "start": 11}),
        ("not (lr ", {"expect": "operator", "field": "lr", "word": "", "start": 8}),
        ("state = fin", {"expect": "value", "field": "state", "word": "fin", "start": 8}),
        ("tag not in (a, ", {"expect": "value", "field": "tag", "word": "", "start": 15}),
        ("lr > 1 ", {"expect": "word", "field": "lr", "word": "", "start": 7}),
        ('name ~ "half ', None),
    ],
)
def test_the_place_of_the_caret_says_what_may_follow(
    open_page: OpenPage, project: Project, text: str, place: dict[str, object] | None
) -> None:
    page = open_page("/p/tiny/runs")
    found = page.evaluate(
        """async (text) => {
          const { findPlace } = await import("/static/js/complete.js");
          return findPlace(text, text.length);
        }""",
        text,
    )
    assert found == place


@pytest.mark.usefixtures("sweep")
def test_groups_open_in_place_and_stay_open_on_a_reload(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.click("[data-key-menu=by] summary")
    page.fill("[data-key-menu=by] [data-key-search]", "optimizer")
    page.click("[data-key-menu=by] [data-key-found] input")
    expect(page.locator("tr.group")).to_have_count(2)
    page.keyboard.press("Escape")
    page.click("tr.group >> nth=0 >> a")
    expect(page.locator("tr.member")).to_have_count(2)
    expect(page.locator("tr.group >> nth=0 >> a")).to_have_attribute("aria-expanded", "true")
    page.reload()
    expect(page.locator("tr.member")).to_have_count(2)
    page.click("tr.group >> nth=0 >> a")
    expect(page.locator("tr.member")).to_have_count(0)
    assert query_of(page) == {"by": "config.optimizer"}


@pytest.mark.usefixtures("sweep")
def test_closed_groups_are_chosen_one_by_one_or_all_at_once(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?by=config.optimizer")
    page.press("body", "j")
    page.keyboard.press("x")
    expect(page.locator("[data-selected-count]")).to_have_text("2")
    assert query_of(page) == {"by": "config.optimizer", "sel": "r2,r1"}
    page.uncheck("[data-select-group] >> nth=0")
    expect(page.locator("[data-selection-bar]")).to_be_hidden()
    page.check("[data-select-all]")
    expect(page.locator("[data-selected-count]")).to_have_text("4")
    page.uncheck("[data-select-all]")
    expect(page.locator("[data-selection-bar]")).to_be_hidden()


@pytest.mark.usefixtures("sweep")
def test_all_but_seed_and_keys_exclude_each_other(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?by=lr")
    page.click("[data-key-menu=by] summary")
    page.check("[data-field='!seed']")
    expect(page.locator("[data-key-menu=by] [data-field=lr]")).not_to_be_checked()
    expect(page.locator("tr.group")).to_have_count(4)
    assert query_of(page) == {"by": "!seed"}
    page.click("text=No groups")
    expect(page.locator("tr.group")).to_have_count(0)
    assert query_of(page) == {}


@pytest.mark.usefixtures("sweep")
def test_chosen_runs_are_tagged_and_untagged_by_undo(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?f=lr+%3E+1e-3")
    page.check("[data-select-all]")
    page.click("[data-tag-menu] summary")
    page.fill("[name=tag]", "fast ones")
    page.press("[name=tag]", "Enter")
    expect(page.locator("#undo")).to_contain_text("2 runs tagged “fast ones”.")
    expect(page.locator(".tag", has_text="fast ones")).to_have_count(2)
    assert query_of(page) == {"f": "lr > 1e-3"}
    page.click("#undo button")
    expect(page.locator(".notice", has_text="Undone for 2 runs.")).to_be_visible()
    expect(page.locator(".tag", has_text="fast ones")).to_have_count(0)


@pytest.mark.usefixtures("sweep")
def test_a_click_with_shift_chooses_all_rows_between(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.click("tbody input >> nth=3")
    page.click("tbody input >> nth=1", modifiers=["Shift"])
    expect(page.locator("[data-selected-count]")).to_have_text("3")
    page.click("tbody input >> nth=2")
    assert query_of(page) == {"sel": "r1,r3"}


@pytest.mark.usefixtures("sweep")
def test_deletion_asks_first_and_gives_the_focus_back(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?sel=r1,r2")
    page.click("[data-delete]")
    expect(page.locator("dialog h2", has_text="Delete 2 runs?")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.hasAttribute('data-delete')")
    page.click("[data-delete]")
    page.click("dialog button[value=delete]")
    expect(page.locator("#undo")).to_contain_text("2 runs deleted.")
    expect(page.locator(ROWS)).to_have_count(2)
    page.click("#undo button")
    expect(page.locator(ROWS)).to_have_count(4)


@pytest.mark.usefixtures("sweep")
def test_archived_runs_are_shown_by_a_switch_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?sel=r3")
    page.click("button[value=archive]")
    expect(page.locator(ROWS)).to_have_count(3)
    switch = page.locator(".table-foot [data-archive]")
    expect(switch).to_have_css("text-decoration-line", "underline")  # not told by colour alone
    switch.click()
    expect(page.locator(ROWS)).to_have_count(4)
    assert query_of(page) == {"arch": "1"}
    expect(page.locator("tr[data-key=r3] .pill", has_text="archived")).to_be_visible()


@pytest.mark.usefixtures("sweep")
def test_curves_of_the_chosen_runs_are_two_clicks_away(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?sel=r1,r4")
    page.click("[data-draw]")
    page.wait_for_url("**/p/tiny/explore?sel=r1%2Cr4")
    expect(page.locator("[data-table=explore] tr[data-selected=true]")).to_have_count(2)


@pytest.mark.usefixtures("sweep")
def test_the_export_holds_the_chosen_runs(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs?sel=r1,r4")
    with page.expect_download() as download:
        page.press("body", "e")
    lines = Path(download.value.path()).read_text().splitlines()
    assert len([line for line in lines if line.startswith(("r1,", "r4,"))]) == 2
    assert len(lines) == 3


def test_every_run_of_all_pages_is_chosen_at_once(open_page: OpenPage, project: Project) -> None:
    Run.objects.bulk_create(
        Run(project=project, uid=f"r{place:03}", state="finished") for place in range(130)
    )
    page = open_page("/p/tiny/runs")
    page.check("[data-select-all]")
    page.click("text=Select all 130")
    expect(page.locator("[data-selected-count]")).to_have_text("130")
    page.click("button[value=archive]")
    expect(page.locator("#undo")).to_contain_text("130 runs archived.")
    assert Run.objects.filter(archived_at=None).count() == 0
