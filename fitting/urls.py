"""Routes of the pages."""

from django.urls import path

from fitting import law_docs, switch_views, views
from fitting.alerts import hook_views as hooks
from fitting.alerts import views as alerts
from fitting.diagnoses import settings_views as rules
from fitting.diagnoses import views as diagnoses
from fitting.status import views as status_views

RUN = "p/<slug:slug>/r/<slug:uid>"
STUDY = "p/<slug:slug>/s/<slug:study_slug>"
RULES = "p/<slug:slug>/settings/diagnostics"

urlpatterns = [
    path("", views.show_projects, name="projects"),
    path("docs/laws", law_docs.show_laws, name="law-docs"),
    path("status", status_views.show_status, name="status"),
    path("status.json", status_views.read_status, name="status-json"),
    path("alerts", alerts.show_alerts, name="alerts"),
    path("alerts.json", alerts.read_alerts, name="alerts-json"),
    path("alerts/count.json", alerts.read_count, name="alerts-count"),
    path("alerts/read", alerts.read_some, name="alerts-read"),
    path("alerts/mutes/<int:mute_id>/end", alerts.unmute, name="alert-unmute"),
    path("p/<slug:slug>/alerts/mute", alerts.mute, name="alert-mute"),
    path("p/<slug:slug>/settings/webhooks", hooks.show_hooks, name="hooks"),
    path("p/<slug:slug>/settings/webhooks.json", hooks.read_hooks, name="hooks-json"),
    path("p/<slug:slug>/settings/webhooks/<int:hook_id>/test", hooks.try_hook, name="hook-test"),
    path(
        "p/<slug:slug>/settings/webhooks/<int:hook_id>/enable",
        hooks.enable_hook,
        name="hook-enable",
    ),
    path(
        "p/<slug:slug>/settings/webhooks/<int:hook_id>/remove",
        hooks.remove_hook,
        name="hook-remove",
    ),
    path("projects.json", views.read_projects, name="projects-json"),
    path(f"{RUN}/diagnoses.json", diagnoses.read_diagnoses, name="run-diagnoses-json"),
    path(f"{RUN}/outcome", diagnoses.change_outcome, name="run-outcome"),
    path(RULES, rules.show_rules, name="diagnosis-rules"),
    path(f"{RULES}.json", rules.read_rules, name="diagnosis-rules-json"),
    path(f"{RULES}/thresholds", rules.change_limits, name="thresholds-change"),
    path(f"{RULES}/metric-names", rules.change_name, name="metric-name-change"),
    path("p/<slug:slug>/studies", views.show_studies, name="studies"),
    path("p/<slug:slug>/studies.json", views.read_studies, name="studies-json"),
    path("p/<slug:slug>/studies/new", views.new_study, name="study-new"),
    path(STUDY, views.show_study, name="study"),
    path(f"{STUDY}.html", views.download_study, name="study-file"),
    path(f"{STUDY}.json", views.read_study_page, name="study-json"),
    path(f"{STUDY}/analyses/<slug:analysis>", switch_views.switch, name="study-analysis"),
    path(f"{STUDY}/edit", views.change_study, name="study-edit"),
    path(f"{STUDY}/figures/<slug:name>.json", views.read_figure, name="study-figure"),
    path(f"{STUDY}/forecasts", views.freeze, name="forecast-freeze"),
    path(f"{STUDY}/runs/<slug:uid>/exclude", views.exclude, name="run-exclude"),
    path(f"{STUDY}/runs/<slug:uid>/include", views.include, name="run-include"),
]
