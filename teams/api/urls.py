"""Routes of the API."""

from django.urls import path

from teams.api.audit import Activity, Audit
from teams.api.ping import Ping
from teams.api.projects import Members, OneMember, OneProject, Projects
from teams.api.tokens import OneToken, Tokens

urlpatterns = [
    path("ping", Ping.as_view(), name="api-ping"),
    path("projects", Projects.as_view(), name="api-projects"),
    path("projects/<slug:slug>", OneProject.as_view(), name="api-project"),
    path("projects/<slug:slug>/members", Members.as_view(), name="api-members"),
    path("projects/<slug:slug>/members/<str:username>", OneMember.as_view(), name="api-member"),
    path("projects/<slug:slug>/activity", Activity.as_view(), name="api-activity"),
    path("projects/<slug:slug>/audit", Audit.as_view(), name="api-audit"),
    path("tokens", Tokens.as_view(), name="api-tokens"),
    path("tokens/<slug:key>", OneToken.as_view(), name="api-token"),
]
