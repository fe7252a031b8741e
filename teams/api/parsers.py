"""The JSON parser of every API body but metrics, which runs.ingest reads by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from rest_framework.parsers import BaseParser

from teams.api.bodies import read_json


class StrictJsonParser(BaseParser):
    """Parse through the strict front door: size, encoding, depth, duplicate keys, NUL."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, object] | None = None,
    ) -> object:
        """Return the decoded body; raise ApiError otherwise."""
        request = (parser_context or {})["request"]
        return read_json(stream, request.META.get("HTTP_CONTENT_ENCODING", ""))
