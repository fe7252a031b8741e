"""Routes of the pages."""

from django.urls import path

from teams import share_pages, share_settings, signin, views

urlpatterns = [
    path("setup", signin.show_setup, name="setup"),
    path("login", signin.show_login, name="login"),
    path("login/once/<str:secret>", signin.use_link, name="login-once"),
    path("logout", signin.sign_out, name="logout"),
    path("settings/password", signin.show_password, name="password"),
    path("settings/tokens", views.show_tokens, name="tokens"),
    path("settings/tokens.json", views.read_tokens, name="tokens-json"),
    path("settings/tokens/<slug:key>/revoke", views.revoke, name="token-revoke"),
    path("p/<slug:slug>/settings", views.show_settings, name="project-settings"),
    path("p/<slug:slug>/settings.json", views.read_settings, name="project-settings-json"),
    path("p/<slug:slug>/settings/members", views.add_member, name="member-add"),
    path("p/<slug:slug>/settings/members/<str:username>", views.change_member, name="member"),
    path(
        "p/<slug:slug>/settings/members/<str:username>/remove",
        views.drop_member,
        name="member-remove",
    ),
    path("p/<slug:slug>/shares/new", share_settings.new_share, name="share-new"),
    path("p/<slug:slug>/shares/<int:share_id>/revoke", share_settings.revoke, name="share-revoke"),
    path("s/<str:token>/", share_pages.show_share, name="share"),
    path("s/<str:token>/<path:part>", share_pages.read_share, name="share-part"),
    path("p/<slug:slug>/settings/delete", views.delete, name="project-delete"),
]
