"""The exceptions of the client, under the name that scripts written for W&B use."""

from scaledash.client.errors import AuthError, CommError, Error, NotFound, Refused, UsageError

__all__ = ["AuthError", "CommError", "Error", "NotFound", "Refused", "UsageError"]
