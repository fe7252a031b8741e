"""Who calls in the permission matrix, and on what: project alpha with all roles, and beta."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from fitting.alerts.hooks import HookWish, create_hook
from fitting.alerts.raising import raise_alerts
from fitting.analyses import ANALYSES
from fitting.figures import FIGURES
from fitting.inputs import read_study_rows
from fitting.models import Alert, AlertMute, Fit, FitKind, MetricMeaning, Study
from fitting.services import StudyWish, add_runs, create_study
from runs.models import BulkAction, BulkEdit, Metric, Run
from runs.saved_views import ViewWish, delete_view, save_view
from scaledash.lib.jsonsafe import make_safe
from teams import accounts, services
from teams.comments import Remark, add_comment
from teams.invitations import create_invitation
from teams.models import Project, Role, Scope
from teams.sharing import ShareWish, Subject, create_share
from tests.teams.factories import (
    find_token,
    get_user,
    make_project,
    make_token,
    make_user,
)

CANARY = "Aardvark-7321"
SESSIONS = ("stranger", "viewer", "editor", "admin")
TOKENS = ("a_write", "a_read", "a_admin", "b_admin", "revoked")
ACTORS = ("anonymous", *SESSIONS, *TOKENS)


@dataclass
class World:
    """The objects and the callers; `arguments` fills the parameters of routes by their names."""

    clients: dict[str, Client] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    arguments: dict[str, object] = field(default_factory=dict)

    def call(self, actor: str, method: str, url: str, body: object = None) -> HttpResponse:
        """Send one request and undo what it did to the database and to the browser."""
        with transaction.atomic():
            answer = self.send(actor, method, url, body)
            connection.needs_rollback = False
            transaction.set_rollback(True)
        return answer

    def send(self, actor: str, method: str, url: str, body: object = None) -> HttpResponse:
        """Send one request; the browser forgets the cookies that it was given."""
        client = self.clients[actor]
        cookies = deepcopy(client.cookies)
        if url.startswith("/api/"):
            data: dict[str, object] = {"data": body or {}, "content_type": "application/json"}
        else:
            data = {"data": body or {}}
        if method in ("GET", "HEAD"):
            data = {}
        try:
            answer = getattr(client, method.lower())(url, headers=self.headers[actor], **data)
        finally:
            client.cookies = cookies
        if answer.streaming:
            read = {"status": answer.status_code, "headers": dict(answer.headers)}
            answer = HttpResponse(answer.getvalue(), **read)
        return answer


@contextmanager
def keep_world() -> Iterator[World]:
    """Hold one world for all tests of a module; each test works in a savepoint of its own."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield make_world()
        transaction.set_rollback(True)


def make_world() -> World:
    """Create projects, members, tokens and one object of each kind in alpha."""
    alpha = make_project("alpha", viewer="viewer", editor="editor", admin="admin", spare="viewer")
    beta = make_project("beta", stranger="viewer", beta_admin="admin")
    services.update_project(alpha, name=CANARY, description=CANARY)
    make_user("newcomer")
    tokens = {
        "a_write": make_token(get_user("admin"), Scope.WRITE, alpha),
        "a_read": make_token(get_user("admin"), Scope.READ, alpha),
        "a_admin": make_token(get_user("admin"), Scope.ADMIN, alpha),
        "b_admin": make_token(get_user("beta_admin"), Scope.ADMIN, beta),
        "revoked": make_token(get_user("admin"), Scope.ADMIN, alpha),
    }
    services.revoke_token(find_token(tokens["revoked"]))
    world = World()
    for actor in ACTORS:
        world.clients[actor] = Client(raise_request_exception=False)
        world.headers[actor] = {}
    for actor in SESSIONS:
        world.clients[actor].force_login(get_user(actor))
    for actor, text in tokens.items():
        world.headers[actor] = {"Authorization": f"Bearer {text}"}
    world.arguments = {
        "slug": "alpha",
        "username": "spare",
        "key": find_token(make_token(get_user("spare"), Scope.READ, alpha)).key,
        "secret": services.create_login_link(get_user("newcomer")),
        "name": min(FIGURES),
        "analysis": "lr_sweep",
        "rest": "mlflow/nothing",
        **make_measurements(alpha),
    }
    world.arguments.update(make_share(alpha, world.arguments))
    world.arguments.update(make_links(alpha))
    return world


def make_links(project: Project) -> dict[str, object]:
    """Make one link of each kind and sign the admin in elsewhere; return what names them."""
    expires_at = timezone.now() + timedelta(days=7)
    invitation, secret = create_invitation(project, get_user("admin"), Role.VIEWER, expires_at)
    Client().force_login(get_user("admin"))
    study = Study.objects.get(project=project)
    remark = Remark("study", study.pk, study.slug, study.name, CANARY)
    comment = add_comment(project, get_user("admin"), remark)
    run = Run.objects.get(project=project, uid="run-1")
    raise_alerts([Alert(project=project, run=run, severity="warn", title=CANARY, key="x")])
    muted = AlertMute.objects.create(user=get_user("admin"), project=project, run=run)
    hook = create_hook(project, get_user("admin"), HookWish(CANARY, "https://hooks.example/x"))
    wish = ViewWish(page="runs", name=CANARY, query="f=lr > 1", is_shared=True)
    view = save_view(project, get_user("admin"), Role.ADMIN, wish)
    gone = save_view(project, get_user("admin"), Role.ADMIN, replace(wish, name="gone"))
    delete_view(gone, get_user("admin"))
    return {
        "hook_id": hook.pk,
        "mute_id": muted.pk,
        "view_id": view.pk,
        "deleted_view_id": gone.pk,
        "comment_id": comment.pk,
        "invite_secret": secret,
        "invitation_id": invitation.pk,
        "reset_secret": accounts.create_reset_link(get_user("newcomer")),
        "device": accounts.name_device(accounts.list_devices(get_user("admin"))[0]),
    }


def make_share(project: Project, known: dict[str, object]) -> dict[str, object]:
    """Share the study of alpha; return the arguments that name the link."""
    study = Study.objects.get(pk=known["study_id"])
    subject = Subject({"study": study.pk}, "A study")
    wish = ShareWish(kind="study", subject=subject)
    share, token = create_share(project, get_user("editor"), wish)
    return {"token": token, "part": "rev.json", "share_id": share.pk}


def make_measurements(project: Project) -> dict[str, object]:
    """Create a run in a fitted study and one beside it; return the arguments that name them."""
    run = Run.objects.create(project=project, uid="run-1", name=CANARY)
    study = create_study(project, None, StudyWish(slug="lr-sweep", name=CANARY))
    add_runs(study, Run.objects.filter(pk=run.pk))
    Run.objects.create(project=project, uid="run-2", name=CANARY)
    for metric in ("loss", "decided"):
        Metric.objects.get_or_create(project=project, name=metric)
    MetricMeaning.objects.create(project=project, metric="decided", key="loss.train")
    done = BulkEdit.objects.create(project=project, action=BulkAction.TAG, tag="x", runs=[run.pk])
    rows = read_study_rows(study, None)
    for name, analysis in ANALYSES.items():
        data = analysis.load(study, rows, FitKind.FAST)
        Fit.objects.create(
            study=study,
            analysis=name,
            kind=FitKind.FAST,
            token=1,
            input_digest=data.digest,
            n_runs=data.n_runs,
            n_points=data.n_points,
            data_at=timezone.now(),
            duration_seconds=0.1,
            result=make_safe(analysis.analyse(data, study, FitKind.FAST)),
        )
    return {
        "uid": run.uid,
        "study_slug": study.slug,
        "study_id": study.pk,
        "version": 1,
        "edit_id": done.pk,
        "diagnostic": "attention_logits",
    }


def hash_database() -> dict[str, str]:
    """Return a digest of every table, without what GET may write: a token's last use."""
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(map(digest_table, connection.introspection.table_names()))
        )
        return dict(cursor.fetchall())


def digest_table(table: str) -> str:
    """Return the query that digests one table."""
    row = "(to_jsonb(t) - 'last_used_at')" if table == "teams_apitoken" else "to_jsonb(t)"
    digest = f"md5(coalesce(string_agg({row}::text, '|' ORDER BY t::text), ''))"
    return f"SELECT '{table}', {digest} FROM \"{table}\" t"
