"""Routes of the pages."""

from django.urls import path

from runs import compare_views, explore_views, quickstart_views, saved_pages, trash_pages, views

RUN = "p/<slug:slug>/r/<slug:uid>"

urlpatterns = [
    path("docs/quickstart", quickstart_views.show_quickstart, name="quickstart"),
    path("docs/quickstart.json", quickstart_views.read_quickstart, name="quickstart-json"),
    path("p/<slug:slug>/runs", views.show_runs, name="runs"),
    path("p/<slug:slug>/runs.json", views.read_runs, name="runs-json"),
    path("p/<slug:slug>/runs/count.json", views.count_runs, name="runs-count"),
    path("p/<slug:slug>/runs/edit", views.edit, name="runs-edit"),
    path("p/<slug:slug>/runs/edit/<int:edit_id>/undo", views.undo, name="runs-undo"),
    path("p/<slug:slug>/trash", trash_pages.show_trash, name="trash"),
    path("p/<slug:slug>/trash.json", trash_pages.read_trash, name="trash-json"),
    path("p/<slug:slug>/trash/restore", trash_pages.restore, name="trash-restore"),
    path("p/<slug:slug>/compare", compare_views.show_compare, name="compare"),
    path("p/<slug:slug>/compare.json", compare_views.read_compare, name="compare-json"),
    path("p/<slug:slug>/explore", explore_views.show_explore, name="explore"),
    path("p/<slug:slug>/explore.json", explore_views.read_explore, name="explore-json"),
    path(
        "p/<slug:slug>/explore/curves.json",
        explore_views.read_explore_curves,
        name="explore-curves",
    ),
    path("views", saved_pages.show_views, name="views"),
    path("views.json", saved_pages.read_views, name="views-json"),
    path("p/<slug:slug>/views", saved_pages.save, name="view-save"),
    path("p/<slug:slug>/views/<int:view_id>", saved_pages.change, name="view-change"),
    path(
        "p/<slug:slug>/views/<int:deleted_view_id>/restore",
        saved_pages.restore,
        name="view-restore",
    ),
    path(RUN, views.show_run, name="run"),
    path(f"{RUN}.json", views.read_run, name="run-json"),
    path(f"{RUN}/notes", views.save_notes, name="run-notes"),
    path(f"{RUN}/curves.json", views.read_curves, name="run-curves"),
]
