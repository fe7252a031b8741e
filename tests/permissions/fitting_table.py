"""Who may do what with studies, fits, diagnoses and alerts."""

from __future__ import annotations

from tests.permissions.calls import (
    ADMIN_PAGE,
    API_ADMIN,
    API_EDIT,
    API_LIST,
    API_MINE,
    API_READ,
    EDIT_PAGE,
    OK,
    OWN_PAGE,
    OWN_TWIN,
    READ_PAGE,
    READ_TWIN,
    SITE_ADMIN_PAGE,
    Call,
    page,
    refused,
)

OWN_LIMIT = {"diagnostic": "attention_logits", "value-watch": "50"}
HOOK = {"name": "chat", "url": "https://hooks.example/x", "format": "json", "least": "warn"}
STUDY_FORM = {"name": "Another", "kind": "list", "estimator": "last", "tail_fraction": "0.05"}
FITTING = {
    "projects": {"GET": Call(OWN_PAGE)},
    "law-docs": {"GET": Call(OWN_PAGE)},
    "projects-json": {"GET": Call(OWN_TWIN)},
    "status": {"GET": Call(SITE_ADMIN_PAGE)},
    "status-json": {"GET": Call(page(401, stranger=404, viewer=404, editor=404, admin=404))},
    "hooks": {"GET": Call(ADMIN_PAGE), "POST": Call(ADMIN_PAGE, HOOK)},
    "hooks-json": {"GET": Call(page(401, stranger=404, viewer=404, editor=404, admin=OK))},
    "hook-test": {"POST": Call(ADMIN_PAGE)},
    "hook-enable": {"POST": Call(ADMIN_PAGE)},
    "hook-remove": {"POST": Call(ADMIN_PAGE)},
    "api-hooks": {"GET": Call(API_ADMIN), "POST": Call(API_ADMIN, HOOK)},
    "api-hook": {"DELETE": Call(API_ADMIN)},
    "api-hook-test": {"POST": Call(API_ADMIN)},
    "api-hook-enable": {"POST": Call(API_ADMIN)},
    "api-deliveries": {"GET": Call(API_ADMIN)},
    "alerts": {"GET": Call(OWN_PAGE)},
    "alerts-json": {"GET": Call(OWN_TWIN)},
    "alerts-count": {"GET": Call(OWN_TWIN)},
    "alerts-read": {"POST": Call(OWN_PAGE)},
    "alert-mute": {"POST": Call(page(stranger=404, viewer=OK, editor=OK, admin=OK))},
    # The mute of the world is the admin's.
    "alert-unmute": {"POST": Call(ADMIN_PAGE)},
    "api-alerts": {"GET": Call(API_LIST)},
    "api-alerts-read": {"POST": Call(API_MINE, {"up_to": 1})},
    "api-alert-mutes": {
        "GET": Call(API_LIST),
        "POST": Call({**API_MINE, "stranger": 404, "b_admin": 404}, {"project": "alpha"}),
    },
    "api-alert-mute": {
        "DELETE": Call(
            {**API_MINE, **dict.fromkeys(("stranger", "viewer", "editor", "b_admin"), 404)}
        ),
    },
    "studies": {"GET": Call(READ_PAGE)},
    "studies-json": {"GET": Call(READ_TWIN)},
    "study-new": {"GET": Call(EDIT_PAGE), "POST": Call(EDIT_PAGE, STUDY_FORM)},
    "study": {"GET": Call(READ_PAGE)},
    "study-json": {"GET": Call(READ_TWIN)},
    "study-file": {"GET": Call(READ_PAGE)},
    "study-edit": {"GET": Call(EDIT_PAGE), "POST": Call(EDIT_PAGE, STUDY_FORM)},
    "study-analysis": {"POST": Call(EDIT_PAGE, {"on": "0"})},
    "study-figure": {"GET": Call(READ_TWIN)},
    "forecast-freeze": {"POST": Call(EDIT_PAGE, {"quantity": "loss"})},
    "diagnosis-rules": {"GET": Call(READ_PAGE)},
    "diagnosis-rules-json": {"GET": Call(READ_TWIN)},
    "thresholds-change": {"POST": Call(EDIT_PAGE, OWN_LIMIT)},
    "metric-name-change": {"POST": Call(EDIT_PAGE, {"metric": "loss", "action": "ignore"})},
    "api-thresholds": {"GET": Call(API_READ)},
    "api-diagnostic-thresholds": {"PATCH": Call(API_EDIT, {"values": {"watch": 50}})},
    "api-metric-names": {
        "GET": Call(API_READ),
        "PUT": Call(API_EDIT, {"metric": "loss", "key": "loss.train"}),
        "DELETE": Call(API_EDIT, query="?metric=decided"),
    },
    "run-exclude": {"POST": Call(EDIT_PAGE, {"reason": "noise"})},
    "run-include": {"POST": Call(EDIT_PAGE)},
    "api-studies": {
        "GET": Call(API_LIST),
        "POST": Call(API_EDIT, {"project": "alpha", "slug": "second"}),
    },
    "api-study": {
        "GET": Call(API_READ),
        "PATCH": Call(API_EDIT, {"name": "x"}),
        "DELETE": Call(API_EDIT),
    },
    "api-study-runs": {"GET": Call(API_READ), "POST": Call(API_EDIT, {"runs": ["run-2"]})},
    "api-study-run": {"DELETE": Call(API_EDIT)},
    "api-study-exclusions": {
        "GET": Call(API_READ),
        "POST": Call(API_EDIT, {"run": "run-1", "excluded": True, "reason": "noise"}),
    },
    "api-study-analyses": {
        "GET": Call(API_READ),
        "POST": Call(API_EDIT, {"analysis": "lr_sweep", "is_on": False}),
    },
    "api-study-fits": {"GET": Call(API_READ)},
    "api-study-fit": {"GET": Call(API_READ)},
    "api-study-grid": {"GET": Call(API_READ)},
    "api-study-diagnoses": {"GET": Call(API_READ)},
    "api-study-figure": {"GET": Call(API_READ)},
    "api-study-file": {"GET": Call(API_READ)},
    "api-study-predict": {"GET": Call(refused(API_READ), query="?quantity=loss&n=1k&d=1M")},
    "api-study-forecasts": {
        "GET": Call(API_READ),
        "POST": Call(refused(API_EDIT), {"quantity": "loss", "n": "1k", "d": "1M"}),
    },
    "study-revision": {"GET": Call(API_READ)},
}
