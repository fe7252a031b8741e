"""Every URL of the server."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from scaledash import failures, health

handler400 = failures.bad_request
handler403 = failures.permission_denied
handler404 = failures.page_not_found
handler500 = failures.server_error

# Its script stands in a response of its own, so that the content security policy holds.
api_docs = SpectacularSwaggerSplitView.as_view(
    url_name="api-schema", template_name="teams/api_docs.html"
)

urlpatterns = [
    path("api/v1/", include("runs.api.urls")),  # first: what training jobs call all the time
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", api_docs, name="api-docs"),
    path("api/v1/", include("teams.api.urls")),
    path("api/v1/", include("fitting.api.urls")),
    path("", include("runs.mlflow.urls")),
    path("", include("teams.urls")),
    path("", include("runs.urls")),
    path("", include("fitting.urls")),
]
