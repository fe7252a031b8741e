"""Routes of the pages."""

from django.urls import path

from teams import (
    account_pages,
    activity_pages,
    comment_pages,
    invitation_pages,
    share_pages,
    share_settings,
    signin,
    views,
)

urlpatterns = [
    path("setup", signin.show_setup, name="setup"),
    path("login", signin.show_login, name="login"),
    path("login/once/<str:secret>", signin.use_link, name="login-once"),
    path("forgot", account_pages.show_forgotten, name="forgot"),
    path("logout", signin.sign_out, name="logout"),
    path("settings/password", signin.show_password, name="password"),
    path("settings/email", signin.change_email, name="email"),
    path("settings/devices", account_pages.show_devices, name="devices"),
    path("settings/devices.json", account_pages.read_devices, name="devices-json"),
    path("settings/devices/end-others", account_pages.end_others, name="devices-end-others"),
    path("settings/devices/<slug:device>/end", account_pages.end_one, name="device-end"),
    path("settings/people", account_pages.show_people, name="people"),
    path(
        "settings/people/<str:username>/active", account_pages.switch_active, name="person-active"
    ),
    path(
        "settings/people/<str:username>/password-link",
        account_pages.make_reset_link,
        name="person-password-link",
    ),
    path("settings/audit", activity_pages.show_server_audit, name="server-audit"),
    path("reset/<str:reset_secret>", account_pages.use_reset_link, name="reset"),
    path("invitation/<str:invite_secret>", invitation_pages.show_invitation, name="invitation"),
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
    path("p/<slug:slug>/settings/hand-over", views.give_project, name="project-hand-over"),
    path("p/<slug:slug>/settings/audit", activity_pages.show_audit, name="audit"),
    path("p/<slug:slug>/settings/audit.json", activity_pages.read_audit, name="audit-json"),
    path("p/<slug:slug>/activity", activity_pages.show_activity, name="activity"),
    path("p/<slug:slug>/activity.json", activity_pages.read_activity, name="activity-json"),
    path("p/<slug:slug>/settings/invitations", invitation_pages.invite, name="invite"),
    path(
        "p/<slug:slug>/settings/invitations/<int:invitation_id>/revoke",
        invitation_pages.revoke,
        name="invitation-revoke",
    ),
    path("p/<slug:slug>/comments", comment_pages.add, name="comment-add"),
    path("p/<slug:slug>/comments/<int:comment_id>", comment_pages.edit, name="comment-edit"),
    path(
        "p/<slug:slug>/comments/<int:comment_id>/delete",
        comment_pages.delete,
        name="comment-delete",
    ),
    path("p/<slug:slug>/shares/new", share_settings.new_share, name="share-new"),
    path("p/<slug:slug>/shares/<int:share_id>/revoke", share_settings.revoke, name="share-revoke"),
    path(
        "p/<slug:slug>/shares/<int:share_id>/preview.json",
        share_settings.take_preview,
        name="share-preview",
    ),
    path("s/<str:token>/", share_pages.show_share, name="share"),
    path("s/<str:token>/<path:part>", share_pages.read_share, name="share-part"),
    path("p/<slug:slug>/settings/delete", views.delete, name="project-delete"),
]
