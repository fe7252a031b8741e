"""The JSON renderer of every API answer, and how it is chosen."""

from collections.abc import Mapping, Sequence

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from scaledash.lib import jsonsafe


class SafeJsonRenderer(BaseRenderer):
    """Render through jsonsafe, so that a single NaN never breaks an answer."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, object] | None = None,
    ) -> bytes:
        """Encode `data`; an absent body stays absent."""
        return b"" if data is None else jsonsafe.dumps(data)


class QuickNegotiation(DefaultContentNegotiation):
    """Take the one renderer where the caller takes anything or JSON; else look closely."""

    def select_renderer(
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type."""
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        if accepted in ("*/*", "application/json") and not (format_suffix or request.GET):
            return renderers[0], renderers[0].media_type
        return super().select_renderer(request, renderers, format_suffix)
