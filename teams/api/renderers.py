"""The JSON renderer of every API answer."""

from collections.abc import Mapping

from rest_framework.renderers import BaseRenderer

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
