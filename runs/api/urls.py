"""Routes of the API."""

from django.urls import path

from runs.api.exports import Export
from runs.api.fields import Fields
from runs.api.ingest import Cursor, Finish, Heartbeat, Metrics, Rewind
from runs.api.reads import History, ProjectRevision, RunRevision, SeriesOfRuns
from runs.api.runs import OneRun, Purge, Restore, Runs
from runs.api.saved_views import OneSavedView, SavedViewRestore, SavedViews

RUN = "runs/<slug:uid>"
VIEWS = "projects/<slug:slug>/views"

urlpatterns = [
    path(f"{RUN}/metrics", Metrics.as_view(), name="api-run-metrics"),
    path("runs", Runs.as_view(), name="api-runs"),
    path(RUN, OneRun.as_view(), name="api-run"),
    path(f"{RUN}/restore", Restore.as_view(), name="api-run-restore"),
    path(f"{RUN}/purge", Purge.as_view(), name="api-run-purge"),
    path(f"{RUN}/heartbeat", Heartbeat.as_view(), name="api-run-heartbeat"),
    path(f"{RUN}/finish", Finish.as_view(), name="api-run-finish"),
    path(f"{RUN}/rewind", Rewind.as_view(), name="api-run-rewind"),
    path(f"{RUN}/cursor", Cursor.as_view(), name="api-run-cursor"),
    path(f"{RUN}/history", History.as_view(), name="api-run-history"),
    path(f"{RUN}/revision", RunRevision.as_view(), name="run-revision"),
    path("series", SeriesOfRuns.as_view(), name="api-series"),
    path(VIEWS, SavedViews.as_view(), name="api-views"),
    path(f"{VIEWS}/<int:view_id>", OneSavedView.as_view(), name="api-view"),
    path(
        f"{VIEWS}/<int:deleted_view_id>/restore",
        SavedViewRestore.as_view(),
        name="api-view-restore",
    ),
    path("projects/<slug:slug>/fields", Fields.as_view(), name="api-fields"),
    path("projects/<slug:slug>/export", Export.as_view(), name="api-export"),
    path("projects/<slug:slug>/revision", ProjectRevision.as_view(), name="project-revision"),
]
