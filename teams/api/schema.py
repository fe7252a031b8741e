"""How the OpenAPI document describes authentication and errors."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension

METHODS = ("get", "post", "put", "patch", "delete")
ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field"],
            "properties": {
                "code": {"type": "string", "description": "Stable, for programs."},
                "message": {"type": "string", "description": "One sentence, for people."},
                "field": {
                    "type": "string",
                    "nullable": True,
                    "description": "JSON pointer of the first bad value.",
                },
                "id": {"type": "string", "description": "Stands in the server's log too."},
            },
        }
    },
}


class BearerOrSessionScheme(OpenApiAuthenticationExtension):
    """A Bearer token, or the cookie of a signed-in browser."""

    target_class = "teams.api.auth.BearerOrSession"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Describe the token."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer sd_<id>_<secret>`; make one under Settings, "
            "Tokens. A signed-in browser may send its session cookie instead, with the CSRF "
            "token on writes; endpoints that log runs take tokens only.",
        }


def describe_errors(
    result: dict[str, dict], generator: object, request: object, public: bool
) -> dict[str, dict]:
    """Add the one error shape to every operation."""
    result["components"].setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    answer = {
        "description": "Refused; `code` says why.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for path in result["paths"].values():
        for method in METHODS:
            if method in path:
                path[method]["responses"].setdefault("default", answer)
    return result
