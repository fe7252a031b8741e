"""Who is asking: a signed-in person, an API token, or nobody."""

from __future__ import annotations

from dataclasses import dataclass

from teams.models import Scope


@dataclass(frozen=True)
class Principal:
    """The identity that every queryset is filtered by.

    `user_id` is the person or the one whose token it is; `project_id` narrows a token to one
    project. Nobody has neither.
    """

    user_id: int | None = None
    project_id: int | None = None
    token_id: int | None = None
    scope: Scope | None = None

    @property
    def is_anonymous(self) -> bool:
        """Say whether nobody is asking."""
        return self.user_id is None

    def allows(self, scope: Scope) -> bool:
        """Say whether the token's scope covers `scope`; a signed-in person has no such bound."""
        return self.scope in (None, Scope.ADMIN, scope)


ANONYMOUS = Principal()
