"""W23's question on the demo's real runs: the narrow ones forecast the logits of the widest.

Everything goes the way of a user: the client logs, the server stores, the worker diagnoses and
fits, the forecast is frozen through the client, and the widest runs arrive only then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import scaledash
from demo.load import Run
from fitting.alerts.models import Alert, AlertKind
from fitting.models import Fit, RunDiagnosis, Study
from fitting.queries import INSTABILITY, find_current_fit
from runs.models import Run as StoredRun
from teams.models import Scope
from tests.demo.replayed import find_runs, replay
from tests.fitting.waiting import wait_until
from tests.teams.factories import get_user, make_project, make_token, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LRS, STEP, LIMIT = (0.03, 0.1), 100, 1e4
NARROW, WIDE = (16, 32, 48, 64, 96), 128
METRICS = ("attn.max_logit.", "loss.")


def read_logit(run: Run) -> float:
    """Return the largest attention logit over layers at the step, off the packed points."""
    found = []
    for name, series in run["metrics"].items():
        if name.startswith("attn.max_logit."):
            found.append(float(series["values"][series["steps"].index(STEP)]))
    return max(found)


def extrapolate(lr: float) -> tuple[float, int]:
    """Return what a straight line in logs says of the widest, and how many sizes it is through."""
    runs = [find_runs(width=width, peak_lr=lr, qk_norm="none", seed=0)[0] for width in NARROW]
    points = [(run["config"]["n_params_non_embedding"], read_logit(run)) for run in runs]
    kept = np.log10([point for point in points if point[1] <= LIMIT])
    (wide,) = find_runs(width=WIDE, peak_lr=lr, qk_norm="none")
    line = np.polyfit(kept[:, 0], kept[:, 1], 1)
    size = wide["config"]["n_params_non_embedding"]
    return float(10 ** np.polyval(line, np.log10(size))), len(kept)


@pytest.fixture
def send(
    live_web: str,
    live_worker: Path,
    live_sweeper: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Run], str]:
    make_project("alpha", ann="editor")
    token = make_token(get_user("ann"), Scope.ADMIN)
    monkeypatch.setenv("SCALEDASH_DISABLE_GIT", "1")
    monkeypatch.setenv("SCALEDASH_SILENT", "1")
    monkeypatch.chdir(tmp_path)  # of the spools

    def log(run: Run) -> str:
        return replay(run, "alpha", "sweep", METRICS, base_url=live_web, api_key=token)

    return log


def wait_for_runs(count: int) -> None:
    """Wait until every run is diagnosed, and the study's instability fit has read all of them."""

    def is_current() -> bool:
        fit = find_current_fit(Study.objects.get(slug="sweep"), INSTABILITY)
        return fit is not None and len(fit.result["values"]) == count

    wait_until(lambda: RunDiagnosis.objects.count() == count, f"diagnosis of {count} runs", 120)
    wait_until(is_current, f"the fit of {count} runs", 120)


def test_the_widest_logits_are_forecast_frozen_and_scored(
    live_web: str, send: Callable[[Run], str]
) -> None:
    for lr in LRS:
        for width in NARROW:
            send(find_runs(width=width, peak_lr=lr, qk_norm="none", seed=0)[0])
    wait_for_runs(len(LRS) * len(NARROW))
    study = scaledash.Api(live_web, make_token(get_user("ann"), Scope.ADMIN)).study("alpha/sweep")
    wide = {lr: find_runs(width=WIDE, peak_lr=lr, qk_norm="none")[0] for lr in LRS}
    size = wide[LRS[0]]["config"]["n_params_non_embedding"]

    frozen = {lr: study.freeze("max_logit", N=size, lr=lr) for lr in LRS}
    for lr, forecast in frozen.items():
        expected, _ = extrapolate(lr)
        assert forecast.prediction.value == pytest.approx(expected, rel=1e-3)
        assert forecast.prediction.low < expected < forecast.prediction.high
        assert forecast.target["step"] == STEP
        assert forecast.score is None
    assert extrapolate(0.1)[1] == 4  # width 96 is beyond the limit already: left out by rule
    before = set(Fit.objects.values_list("pk", flat=True))

    uids = {lr: send(wide[lr]) for lr in LRS}
    wait_for_runs(len(LRS) * (len(NARROW) + 1))
    scored = {forecast.target["peak_lr"]: forecast for forecast in study.forecasts()}
    for lr, forecast in frozen.items():
        now, measured = scored[lr], read_logit(wide[lr])
        assert (now.prediction, now.digest) == (forecast.prediction, forecast.digest)
        assert now.score is not None
        assert now.score.measured == pytest.approx(measured, rel=1e-5)
        assert now.score.error == pytest.approx(forecast.prediction.value / measured - 1, rel=1e-4)
        inside = forecast.prediction.low <= measured <= forecast.prediction.high
        assert (now.score.is_inside, now.score.runs) == (inside, (uids[lr],))
        assert StoredRun.objects.get(uid=uids[lr]).name == wide[lr]["name"]
    assert before < set(Fit.objects.values_list("pk", flat=True))

    wait_until(lambda: Alert.objects.filter(kind=AlertKind.FORECAST).count() == 2, "two alerts")
    page = sign_in(get_user("ann")).get("/p/alpha/s/sweep?tab=forecasts").content.decode()
    assert page.count("Max attention logit</span>") == 2
    assert "N = 591k, LR = 0.03, step 100" in page
    assert f'href="/p/alpha/r/{uids[0.03]}"' in page
