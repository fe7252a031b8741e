"""Routes of the API."""

from django.urls import path

from fitting.api.alerts import AlertMutes, Alerts, OneAlertMute, ReadAlerts
from fitting.api.diagnoses import RunDiagnoses, RunOutcome, StudyRunDiagnoses
from fitting.api.fits import Figure, Fits, Grid, OneFit
from fitting.api.forecasts import Forecasts, Predict
from fitting.api.members import Exclusions, OneStudyRun, StudyRuns
from fitting.api.rules import MetricNames, OneDiagnostic, Thresholds
from fitting.api.studies import OneStudy, Studies, StudyFile, StudyRevision
from fitting.api.switches import Analyses
from fitting.api.webhooks import Deliveries, HookEnable, Hooks, HookTest, OneHook

STUDY = "studies/<int:study_id>"

HOOKS = "projects/<slug:slug>/webhooks"
RUN = "runs/<str:uid>"
PROJECT = "projects/<slug:slug>"

urlpatterns = [
    path("alerts", Alerts.as_view(), name="api-alerts"),
    path("alerts/read", ReadAlerts.as_view(), name="api-alerts-read"),
    path("alerts/mutes", AlertMutes.as_view(), name="api-alert-mutes"),
    path("alerts/mutes/<int:mute_id>", OneAlertMute.as_view(), name="api-alert-mute"),
    path(HOOKS, Hooks.as_view(), name="api-hooks"),
    path(f"{HOOKS}/deliveries", Deliveries.as_view(), name="api-deliveries"),
    path(f"{HOOKS}/<int:hook_id>", OneHook.as_view(), name="api-hook"),
    path(f"{HOOKS}/<int:hook_id>/test", HookTest.as_view(), name="api-hook-test"),
    path(f"{HOOKS}/<int:hook_id>/enable", HookEnable.as_view(), name="api-hook-enable"),
    path(f"{RUN}/diagnoses", RunDiagnoses.as_view(), name="api-run-diagnoses"),
    path(f"{RUN}/outcome", RunOutcome.as_view(), name="api-run-outcome"),
    path(f"{STUDY}/diagnoses", StudyRunDiagnoses.as_view(), name="api-study-diagnoses"),
    path(f"{PROJECT}/thresholds", Thresholds.as_view(), name="api-thresholds"),
    path(
        f"{PROJECT}/thresholds/<slug:diagnostic>",
        OneDiagnostic.as_view(),
        name="api-diagnostic-thresholds",
    ),
    path(f"{PROJECT}/metric-names", MetricNames.as_view(), name="api-metric-names"),
    path("studies", Studies.as_view(), name="api-studies"),
    path(STUDY, OneStudy.as_view(), name="api-study"),
    path(f"{STUDY}/runs", StudyRuns.as_view(), name="api-study-runs"),
    path(f"{STUDY}/runs/<str:uid>", OneStudyRun.as_view(), name="api-study-run"),
    path(f"{STUDY}/exclusions", Exclusions.as_view(), name="api-study-exclusions"),
    path(f"{STUDY}/analyses", Analyses.as_view(), name="api-study-analyses"),
    path(f"{STUDY}/fits", Fits.as_view(), name="api-study-fits"),
    path(f"{STUDY}/fits/<int:version>", OneFit.as_view(), name="api-study-fit"),
    path(f"{STUDY}/grid", Grid.as_view(), name="api-study-grid"),
    path(f"{STUDY}/figures/<slug:name>", Figure.as_view(), name="api-study-figure"),
    path(f"{STUDY}/predict", Predict.as_view(), name="api-study-predict"),
    path(f"{STUDY}/forecasts", Forecasts.as_view(), name="api-study-forecasts"),
    path(f"{STUDY}/file", StudyFile.as_view(), name="api-study-file"),
    path(f"{STUDY}/revision", StudyRevision.as_view(), name="study-revision"),
]
