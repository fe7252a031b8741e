"""Texts that would act on the reader if any page took them for more than text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Browser, Page

from fitting import refit
from fitting.models import Study
from runs.models import Metric, Run
from teams.models import Project
from tests.browser.logger import LOSS_AT_INIT, LoggedRun, Logger
from tests.browser.watch import Watch
from tests.security.payloads import NAMES, REFUSED

LONG = "W" * 10_000
SETTLED = "() => !document.querySelector('figure[data-seen=true][data-state=loading]')"
POLLUTED = "() => [({}).polluted, ({}).x, Object.prototype.alert].filter(Boolean).length"
PAGES = (
    "/",
    "/p/tiny/runs",
    "/p/tiny/runs?per=500",
    "/p/tiny/r/h0",
    "/p/tiny/r/h4",
    "/p/tiny/studies",
    "/p/tiny/studies/new",
    "/p/tiny/s/hostile",
    "/p/tiny/s/hostile?tab=runs",
    "/p/tiny/s/hostile/edit",
    "/p/tiny/settings",
    "/p/tiny/settings/audit",
    "/p/tiny/activity",
    "/settings/tokens",
    "/settings/devices",
)


def log_hostile(logger: Logger) -> None:
    """Log a run for each text, with the text in every place that takes one."""
    for number, name in enumerate(NAMES):
        run = logger.start(
            f"h{number}",
            name=name,
            group=name,
            tags=[name],
            notes=f"{name}\n\n{LONG}",
            job_type=name,
            config={name: name, "qk_norm": name, "long": LONG},
            host={"hostname": name, "command": f"python {name}"},
            study="hostile",
            scale={"n_params": 1e4, "peak_lr": 1e-3 * 1.1**number, "loss_at_init": LOSS_AT_INIT},
        )
        end = 3 - 0.001 * number
        send(run, {"train/loss": [5.0, 4.0, end], name: [1.0, "NaN", 2.0]})
        run.finish()


def send(run: LoggedRun, metrics: dict[str, object]) -> None:
    """Send one batch with these names as they are."""
    steps = list(range(len(next(iter(metrics.values())))))
    body = {"writer": run.writer, "seq": 1, "steps": steps, "metrics": metrics}
    run.logger.post(f"runs/{run.uid}/metrics?project={run.logger.project}", body)


@pytest.fixture
def hostile(logger: Logger, project: Project) -> Logger:
    log_hostile(logger)
    every = " ".join(NAMES)[:200]
    Project.objects.filter(pk=project.pk).update(name=every, description=" ".join(NAMES) + LONG)
    Study.objects.update(name=every, description=" ".join(NAMES), variant_keys=["qk_norm"])
    for kind, subject in (("run", "h0"), ("run", "h4"), ("study", "hostile")):
        body = "\n\n".join([*NAMES, LONG, "[x](javascript:alert(1)) [x](data:text/html,x)"])
        remark = {"kind": kind, "id": subject, "body": body, "metric": NAMES[0]}
        logger.post("projects/tiny/comments", remark)
    while refit.run_next():
        pass
    return logger


def test_t06_names_are_text_on_every_page(open_page: Callable[..., Page], hostile: Logger) -> None:
    stored = {unicodedata.normalize("NFC", name) for name in NAMES}
    assert Metric.objects.filter(name__in=stored).count() == len(stored)
    page = open_page("/")
    for path in PAGES:
        page.goto(path)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_function(SETTLED)
        for figure in page.query_selector_all("figure[data-plot] .main-svg"):
            figure.hover(force=True)
        assert page.evaluate(POLLUTED) == 0, path
        assert page.query_selector_all("script:not([src])") == [], path
        links = page.eval_on_selector_all("a[href]", "found => found.map((a) => a.protocol)")
        assert set(links) <= {"http:"}, path
        hosts = page.eval_on_selector_all("a[href]", "found => found.map((a) => a.host)")
        assert set(hosts) == {hostile.base_url.removeprefix("http://")}, path


def test_t06_names_are_text_on_shared_pages_and_in_the_file_of_a_study(
    browser: Browser, hostile: Logger, tmp_path: Path
) -> None:
    watch = Watch(hostile.base_url)
    context = browser.new_context()
    page = context.new_page()
    watch.follow(page)
    for kind, subject in (("study", "hostile"), ("run", "h4")):
        for mode in ("live", "frozen"):
            body = {"kind": kind, "id": subject, "mode": mode, "title": NAMES[0]}
            shown = {"with_notes": True, "with_comments": True}
            shared = hostile.post("projects/tiny/shares", {**body, **shown})
            page.goto(shared["url"])
            page.wait_for_selector("html[data-ready]")
            page.wait_for_function(SETTLED)
            assert NAMES[0] in page.title()
            assert page.evaluate(POLLUTED) == 0
    context.close()
    assert watch.complaints == []
    read_file(browser, hostile, tmp_path / "study.html")


def read_file(browser: Browser, hostile: Logger, file: Path) -> None:
    """Download the study as a file and open it where there is no network."""
    study = Study.objects.get(slug="hostile")
    headers = {"Authorization": f"Bearer {hostile.token}"}
    address = f"{hostile.base_url}/api/v1/studies/{study.pk}/file"
    context, watch = browser.new_context(), Watch("file:")
    file.write_bytes(context.request.get(address, headers=headers).body())
    context.set_offline(True)
    page = context.new_page()
    watch.follow(page)
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_function("() => !document.querySelector('figure[data-state=loading]')")
    states = page.eval_on_selector_all(
        "figure[data-plot]", "all => all.map((f) => f.dataset.state)"
    )
    assert len(states) > 3
    assert set(states) <= {"ready", "stale", "refused"}
    assert page.evaluate(POLLUTED) == 0
    assert page.eval_on_selector_all("a[href]", "all => all.map((a) => a.protocol)") == ["file:"]
    page.click("button[value=lin]")
    page.wait_for_url("**?ys=lin")
    page.click("[data-plot=lr_loss] summary")
    with page.expect_download() as picture:
        page.click("[data-plot=lr_loss] [data-export=svg]")
    assert Path(picture.value.path()).read_text().startswith("<svg")
    context.close()
    assert watch.complaints == []


@pytest.mark.parametrize("place", range(len(REFUSED)))
def test_t09_text_that_would_break_every_reader_is_refused(logger: Logger, place: int) -> None:
    run = logger.start("plain")
    with pytest.raises(HTTPError) as caught:
        send(run, {REFUSED[place]: [1.0]})
    assert caught.value.code == 422
    assert re.search(r'"field": ?"/metrics', caught.value.read().decode())
    assert not Run.objects.get(uid="plain").summary
