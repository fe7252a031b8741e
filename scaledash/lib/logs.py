"""Log lines as JSON, with secrets masked."""

import json
import logging
import re
from datetime import UTC, datetime

_SECRET = re.compile(
    r"sd_[A-Za-z0-9]+_[A-Za-z0-9_-]+"
    r"|(?<=/s/)[A-Za-z0-9_-]{40,}"
    r"|(?<=/login/once/)[A-Za-z0-9_-]+"
    r"|(?<=/invitation/)[A-Za-z0-9_-]{40,}"
    r"|(?<=/reset/)[A-Za-z0-9_-]{40,}"
    r"|(?<=[?&]token=)[^&\s\"']+"
    r"|(?<=://)[^/@\s]*:[^/@\s]+(?=@)"
)


def mask_secrets(text: str) -> str:
    """Replace tokens, share and sign-in links and passwords in URLs by a placeholder."""
    return _SECRET.sub("[secret]", text)


class MaskSecrets(logging.Filter):
    """Mask secrets in the finished message, arguments included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and keep it."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a wrong format must not break the caller
            message = f"{record.msg} {record.args}"
        record.msg = mask_secrets(message)
        record.args = ()
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line, so that a newline in a message cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Encode the record."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = mask_secrets(self.formatException(record.exc_info))
        return json.dumps(line)  # ASCII: any terminal and any lone surrogate survive it
