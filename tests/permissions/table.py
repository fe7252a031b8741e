"""What each route answers to each actor: the one table of the permission matrix.

A route that is not here fails the suite. `OK` is any answer below 400.
"""

from __future__ import annotations

from tests.permissions.calls import (
    ADMIN_PAGE,
    API_ADMIN,
    API_ANY,
    API_DELETED,
    API_EDIT,
    API_INGEST,
    API_LIST,
    API_OWN,
    API_READ,
    API_SHARE,
    EDIT_PAGE,
    OK,
    OWN_PAGE,
    OWN_TWIN,
    PUBLIC,
    READ_PAGE,
    READ_TWIN,
    SESSIONS_OUT,
    SIGNED_OUT,
    SITE_ADMIN_PAGE,
    Call,
    everyone,
    page,
)
from tests.permissions.fitting_table import FITTING

NEW_MEMBER = {"username": "newcomer", "role": "viewer"}
NEW_PASSWORD = {
    "current_password": "correct-horse-battery",
    "new_password": "staple-tape-42",
    "repeated": "staple-tape-42",
}
NEW_ACCOUNT = {
    "username": "fresh",
    "new_password": "staple-tape-42",
    "repeated": "staple-tape-42",
}
INVITATION_FORM = {"role": "viewer", "label": "Grace", "lifetime_days": "7"}
REQUEST = "4f9d2c1e-8f7b-4d3a-9c56-0123456789ab"
SHARE_FORM = {"title": "For review", "mode": "frozen", "lifetime_days": "7", "password": ""}
TOKEN_FORM = {"name": "new", "scope": "read", "project": "", "lifetime_days": ""}

DIGEST_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

SERVER = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "api-schema": PUBLIC,
    "api-docs": PUBLIC,
}
TEAMS = {
    "setup": {"GET": Call(everyone(404)), "POST": Call(everyone(404))},
    "login": {
        "GET": Call(everyone()),
        "POST": Call(everyone(422, **dict.fromkeys(("stranger", "viewer", "editor", "admin"), OK))),
    },
    "login-once": {"GET": Call(everyone())},
    "forgot": {"GET": Call(everyone()), "POST": Call(everyone(), {"wanted": "ann"})},
    # There is no such page where no e-mail is sent.
    "email": {"POST": Call(page(stranger=404, viewer=404, editor=404, admin=404))},
    "logout": {"POST": Call(everyone())},
    "password": {
        "GET": Call(OWN_PAGE),
        "POST": Call(page(stranger=422, viewer=422, editor=422, admin=422)),
    },
    "devices": {"GET": Call(OWN_PAGE)},
    "devices-json": {"GET": Call(OWN_TWIN)},
    "devices-end-others": {"POST": Call(OWN_PAGE)},
    "device-end": {"POST": Call(page(stranger=404, viewer=404, editor=404, admin=OK))},
    "people": {"GET": Call(SITE_ADMIN_PAGE)},
    "person-active": {"POST": Call(SITE_ADMIN_PAGE)},
    "person-password-link": {"POST": Call(SITE_ADMIN_PAGE)},
    "server-audit": {"GET": Call(SITE_ADMIN_PAGE)},
    # Whoever holds one of these links may use it, once.
    "reset": {"GET": Call(everyone()), "POST": Call(everyone(), NEW_ACCOUNT)},
    "invitation": {"GET": Call(everyone()), "POST": Call(everyone(), NEW_ACCOUNT)},
    "tokens": {"GET": Call(OWN_PAGE), "POST": Call(OWN_PAGE, TOKEN_FORM)},
    "tokens-json": {"GET": Call(OWN_TWIN)},
    "token-revoke": {"GET": Call(ADMIN_PAGE), "POST": Call(ADMIN_PAGE)},
    "project-settings": {
        "GET": Call(EDIT_PAGE),
        "POST": Call(ADMIN_PAGE, {"name": "x", "description": ""}),
    },
    "project-settings-json": {
        "GET": Call(page(401, stranger=404, viewer=404, editor=OK, admin=OK))
    },
    "member-add": {"POST": Call(ADMIN_PAGE, NEW_MEMBER)},
    "member": {"POST": Call(ADMIN_PAGE, {"role": "editor"})},
    "member-remove": {"GET": Call(ADMIN_PAGE), "POST": Call(ADMIN_PAGE)},
    "project-hand-over": {"POST": Call(ADMIN_PAGE, {"member": "spare"})},
    "invite": {"POST": Call(ADMIN_PAGE, INVITATION_FORM)},
    "invitation-revoke": {"POST": Call(ADMIN_PAGE)},
    "audit": {"GET": Call(ADMIN_PAGE)},
    "audit-json": {"GET": Call(page(401, stranger=404, viewer=404, editor=404, admin=OK))},
    "activity": {"GET": Call(READ_PAGE)},
    "activity-json": {"GET": Call(READ_TWIN)},
    "comment-add": {"POST": Call(EDIT_PAGE, {"body": "x"}, query="?kind=study&id=lr-sweep")},
    # Its author is the admin.
    "comment-edit": {"GET": Call(ADMIN_PAGE), "POST": Call(ADMIN_PAGE, {"body": "y"})},
    "comment-delete": {"POST": Call(ADMIN_PAGE)},
    "share-new": {
        "GET": Call(EDIT_PAGE, query="?kind=study&id=lr-sweep"),
        "POST": Call(EDIT_PAGE, SHARE_FORM, query="?kind=run&id=run-1"),
    },
    "share-revoke": {"POST": Call(EDIT_PAGE)},
    "share-preview": {"POST": Call(page(401, stranger=404, viewer=404, editor=415, admin=415))},
    # Whoever holds the token sees the page; nobody can post to it, for it has no password.
    "share": {"GET": Call(everyone()), "POST": Call(everyone(404))},
    "share-part": {"GET": Call(everyone())},
    "project-delete": {"POST": Call(ADMIN_PAGE, {"confirm": "alpha"})},
    "api-ping": {"GET": Call(API_ANY)},
    "api-projects": {
        "GET": Call(API_LIST),
        "POST": Call(
            everyone(**SIGNED_OUT, a_write=403, a_read=403, a_admin=403, b_admin=403),
            {"slug": "new"},
        ),
    },
    "api-project": {
        "GET": Call(API_READ),
        "PATCH": Call(API_ADMIN, {"name": "x"}),
        "DELETE": Call(API_ADMIN),
    },
    "api-members": {
        "GET": Call(API_READ),
        "POST": Call(API_ADMIN, {"user": "newcomer", "role": "viewer"}),
    },
    "api-member": {"PATCH": Call(API_ADMIN, {"role": "editor"}), "DELETE": Call(API_ADMIN)},
    "api-shares": {
        "GET": Call(API_SHARE),
        "POST": Call(API_SHARE, {"kind": "study", "id": "lr-sweep"}),
    },
    "api-share": {"DELETE": Call(API_SHARE)},
    "api-invitations": {"GET": Call(API_ADMIN), "POST": Call(API_ADMIN, {"role": "viewer"})},
    "api-invitation": {"DELETE": Call(API_ADMIN)},
    "api-hand-over": {"POST": Call(API_ADMIN, {"user": "spare"})},
    "api-comments": {
        "GET": Call(API_READ, query="?kind=study&id=lr-sweep"),
        "POST": Call(API_SHARE, {"kind": "study", "id": "lr-sweep", "body": "x"}),
    },
    "api-comment": {"PATCH": Call(API_ADMIN, {"body": "y"}), "DELETE": Call(API_ADMIN)},
    "api-activity": {"GET": Call(API_READ)},
    "api-audit": {"GET": Call(API_ADMIN)},
    "api-tokens": {
        "GET": Call(API_OWN),
        "POST": Call(
            {**API_OWN, "stranger": 404, "b_admin": 404},
            {"name": "new", "scope": "read", "project": "alpha"},
        ),
    },
    "api-token": {
        "DELETE": Call({**API_OWN, "stranger": 404, "viewer": 404, "editor": 404, "b_admin": 404})
    },
}
RUNS = {
    "runs": {"GET": Call(READ_PAGE)},
    "runs-json": {"GET": Call(READ_TWIN)},
    "runs-count": {"GET": Call(READ_TWIN)},
    "runs-edit": {"POST": Call(EDIT_PAGE, {"action": "archive", "runs": "run-1"})},
    "runs-undo": {"POST": Call(EDIT_PAGE)},
    "trash": {"GET": Call(ADMIN_PAGE)},
    "trash-json": {"GET": Call(page(401, stranger=404, viewer=404, editor=404, admin=OK))},
    "trash-restore": {"POST": Call(ADMIN_PAGE, {"run": "*"})},
    "compare": {"GET": Call(READ_PAGE, query="?sel=run-1,run-2")},
    "compare-json": {"GET": Call(READ_TWIN, query="?sel=run-1,run-2")},
    "run-notes": {"POST": Call(EDIT_PAGE, {"notes": "x", "before": DIGEST_OF_NOTHING})},
    "quickstart": {"GET": Call(OWN_PAGE), "POST": Call(OWN_PAGE, {"project": "alpha"})},
    "quickstart-json": {"GET": Call(OWN_TWIN)},
    "explore": {"GET": Call(READ_PAGE)},
    "explore-json": {"GET": Call(READ_TWIN)},
    "explore-curves": {"GET": Call(READ_TWIN)},
    "run": {"GET": Call(READ_PAGE)},
    "run-json": {"GET": Call(READ_TWIN)},
    "run-curves": {"GET": Call(READ_TWIN)},
    "run-diagnoses-json": {"GET": Call(READ_TWIN)},
    "run-outcome": {"POST": Call(EDIT_PAGE, {"outcome": "healthy", "reason": "known"})},
    "api-run-diagnoses": {"GET": Call(API_READ)},
    "api-run-outcome": {
        "PUT": Call(API_EDIT, {"outcome": "healthy", "reason": "known"}),
        "DELETE": Call(API_EDIT),
    },
    "api-runs": {
        "GET": Call(API_LIST),
        "POST": Call(API_INGEST, {"id": "new-run", "request_id": REQUEST, "project": "alpha"}),
    },
    "api-run": {
        "GET": Call(API_READ),
        "PATCH": Call(API_EDIT, {"notes": "x"}),
        "DELETE": Call(API_ADMIN),
    },
    "api-run-restore": {"POST": Call(API_ADMIN)},
    "api-run-purge": {
        "GET": Call(API_DELETED),
        "POST": Call(API_DELETED),
    },
    "api-run-metrics": {"POST": Call(API_INGEST, {"points": [{"step": 1, "loss": 2.5}]})},
    "api-run-heartbeat": {"POST": Call(API_INGEST)},
    "api-run-finish": {"POST": Call(API_INGEST, {"state": "finished"})},
    "api-run-rewind": {"POST": Call(API_INGEST, {"id": REQUEST, "step": 0})},
    "api-run-cursor": {"GET": Call(API_INGEST)},
    "api-run-history": {"GET": Call(API_READ)},
    "run-revision": {"GET": Call(API_READ)},
    "api-series": {
        "GET": Call(API_READ, query="?project=alpha&runs=run-1&metric=loss"),
    },
    "api-fields": {"GET": Call(API_READ)},
    "views": {"GET": Call(OWN_PAGE)},
    "views-json": {"GET": Call(OWN_TWIN)},
    "view-save": {"POST": Call(READ_PAGE, {"page": "runs", "name": "mine", "query": "f=lr > 1"})},
    # The view is the whole project's, the deleted one was the admin's.
    "view-change": {"POST": Call(EDIT_PAGE, {"action": "rename", "name": "other"})},
    "view-restore": {"POST": Call(ADMIN_PAGE)},
    "api-views": {
        "GET": Call(API_READ),
        "POST": Call(
            {**API_SHARE, "viewer": OK}, {"page": "explore", "name": "mine", "query": "m=loss"}
        ),
    },
    "api-view": {
        "GET": Call(API_READ),
        "PATCH": Call(API_SHARE, {"name": "other"}),
        "DELETE": Call(API_SHARE),
    },
    "api-view-restore": {
        "POST": Call({**API_SHARE, "viewer": 404, "editor": 404}),
    },
    "api-export": {"GET": Call(API_READ)},
    "project-revision": {"GET": Call(API_READ)},
}
# MLflow's clients come with a token, never with a cookie. What the world's ids are is known only
# once it is made, so experiments are asked for by name; "0" is the token's own project.
TOKEN_ANY = everyone(**SIGNED_OUT, **SESSIONS_OUT)
TOKEN_READ = {**TOKEN_ANY, "a_write": 403, "b_admin": 404}
TOKEN_LOGGED = {**TOKEN_ANY, "b_admin": 404}
TOKEN_ADMIN = {**TOKEN_ANY, "a_write": 403, "a_read": 403, "b_admin": 404}
RUN_1 = "?run_id=run-1"
MLFLOW_POINT = {"key": "loss", "value": 2.5, "timestamp": 1_763_800_000_000, "step": 1}
GONE = {method: Call(everyone(404)) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}
NO_FILES = {method: Call(everyone(501)) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}
MLFLOW = {
    "mlflow-version": PUBLIC,
    "mlflow-run": {"GET": Call(READ_PAGE)},
    "mlflow-health": PUBLIC,
    "mlflow-info": PUBLIC,
    "mlflow-artifacts-folder": {"GET": Call(TOKEN_ANY)},
    "mlflow-artifacts": NO_FILES,
    "mlflow-unknown": GONE,
    "mlflow-unknown-3": GONE,
    "mlflow-experiments-create": {"POST": Call({**TOKEN_ANY, "a_read": 403}, {"name": "sweep"})},
    "mlflow-experiments-get": {"GET": Call(TOKEN_ANY, query="?experiment_id=0")},
    "mlflow-experiments-get-by-name": {"GET": Call(TOKEN_ANY, query="?experiment_name=sweep")},
    "mlflow-experiments-search": {
        "GET": Call({**TOKEN_ANY, "a_write": 403}),
        "POST": Call({**TOKEN_ANY, "a_write": 403}),
    },
    "mlflow-experiments-set-experiment-tag": {
        "POST": Call(
            {**TOKEN_ANY, "a_read": 403}, {"experiment_id": "0", "key": "kind", "value": "x"}
        ),
    },
    "mlflow-runs-create": {"POST": Call({**TOKEN_ANY, "a_read": 403}, {"experiment_id": "0"})},
    "mlflow-runs-update": {"POST": Call(API_INGEST, {"run_id": "run-1", "run_name": "x"})},
    "mlflow-runs-delete": {"POST": Call(TOKEN_ADMIN, {"run_id": "run-1"})},
    "mlflow-runs-restore": {"POST": Call(TOKEN_ADMIN, {"run_id": "run-1"})},
    "mlflow-runs-get": {"GET": Call(TOKEN_LOGGED, query=RUN_1)},
    "mlflow-runs-search": {
        "POST": Call({**TOKEN_ANY, "a_write": 403}, {"experiment_ids": ["0"]}),
    },
    "mlflow-runs-log-metric": {"POST": Call(API_INGEST, {"run_id": "run-1", **MLFLOW_POINT})},
    "mlflow-runs-log-batch": {
        "POST": Call(API_INGEST, {"run_id": "run-1", "metrics": [MLFLOW_POINT]}),
    },
    "mlflow-runs-log-parameter": {
        "POST": Call(API_INGEST, {"run_id": "run-1", "key": "lr", "value": "0.1"}),
    },
    "mlflow-runs-set-tag": {
        "POST": Call(API_INGEST, {"run_id": "run-1", "key": "kind", "value": "x"}),
    },
    "mlflow-runs-delete-tag": {
        "POST": Call(
            {who: 404 if answer == OK else answer for who, answer in API_INGEST.items()},
            {"run_id": "run-1", "key": "absent"},
        ),
    },
    "mlflow-runs-log-inputs": {"POST": Call(API_INGEST, {"run_id": "run-1", "datasets": [{}]})},
    "mlflow-runs-outputs": {"POST": Call(API_INGEST, {"run_id": "run-1", "models": [{}]})},
    "mlflow-runs-log-model": {"POST": Call(API_INGEST, {"run_id": "run-1", "model_json": "{}"})},
    "mlflow-metrics-get-history": {"GET": Call(TOKEN_READ, query=f"{RUN_1}&metric_key=loss")},
    "mlflow-metrics-get-history-bulk-interval": {
        "GET": Call(TOKEN_READ, query="?run_ids=run-1&metric_key=loss"),
    },
    "mlflow-artifacts-list": {"GET": Call(TOKEN_READ, query=RUN_1)},
}

TABLE: dict[str, dict[str, Call]] = {**SERVER, **TEAMS, **RUNS, **MLFLOW, **FITTING}
