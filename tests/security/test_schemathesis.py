"""Requests made up from the OpenAPI document, right and wrong ones, against the real server."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    unsupported_method,
)

from teams.models import Scope
from tests.permissions.world import make_measurements
from tests.teams.factories import get_user, make_project, make_token

EXAMPLES = 12
CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
)


@pytest.mark.slow
def test_t34_no_request_of_the_document_or_against_it_breaks_the_server(live_web: str) -> None:
    project = make_project("alpha", ann="admin")
    make_measurements(project)
    token = make_token(get_user("ann"), Scope.ADMIN, project)
    headers = {"Authorization": f"Bearer {token}"}
    document = schemathesis.openapi.from_url(f"{live_web}/api/schema")
    asked = 0
    for result in document.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            asked += ask(operation, mode, headers)
    assert asked > 500


def ask(operation: object, mode: object, headers: dict[str, str]) -> int:
    """Send some requests to one operation; returns how many."""
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: object) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(headers=headers, checks=CHECKS)

    check()
    return sent
