"""Routes of the API."""

from django.urls import path

from teams.api.audit import Activity, Audit
from teams.api.comments import Comments, OneComment
from teams.api.invitations import HandOvers, Invitations, OneInvitation
from teams.api.ping import Ping
from teams.api.projects import Members, OneMember, OneProject, Projects
from teams.api.shares import OneShare, Shares
from teams.api.tokens import OneToken, Tokens

urlpatterns = [
    path("ping", Ping.as_view(), name="api-ping"),
    path("projects", Projects.as_view(), name="api-projects"),
    path("projects/<slug:slug>", OneProject.as_view(), name="api-project"),
    path("projects/<slug:slug>/members", Members.as_view(), name="api-members"),
    path("projects/<slug:slug>/members/<str:username>", OneMember.as_view(), name="api-member"),
    path("projects/<slug:slug>/activity", Activity.as_view(), name="api-activity"),
    path("projects/<slug:slug>/audit", Audit.as_view(), name="api-audit"),
    path("projects/<slug:slug>/invitations", Invitations.as_view(), name="api-invitations"),
    path(
        "projects/<slug:slug>/invitations/<int:invitation_id>",
        OneInvitation.as_view(),
        name="api-invitation",
    ),
    path("projects/<slug:slug>/hand-over", HandOvers.as_view(), name="api-hand-over"),
    path("projects/<slug:slug>/shares", Shares.as_view(), name="api-shares"),
    path("projects/<slug:slug>/shares/<int:share_id>", OneShare.as_view(), name="api-share"),
    path("projects/<slug:slug>/comments", Comments.as_view(), name="api-comments"),
    path(
        "projects/<slug:slug>/comments/<int:comment_id>", OneComment.as_view(), name="api-comment"
    ),
    path("tokens", Tokens.as_view(), name="api-tokens"),
    path("tokens/<slug:key>", OneToken.as_view(), name="api-token"),
]
