"""Webhooks: what a hook is sent, when it is tried again, and when it is turned off."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from fitting.alerts import deliveries, hooks
from fitting.alerts.chores import send_alerts
from fitting.alerts.hooks import HookWish, create_hook
from fitting.alerts.messages import write_line
from fitting.alerts.raising import raise_alerts
from fitting.models import Alert, Delivery, Webhook
from fitting.services import Refused
from runs.models import Run
from teams.models import AuditEntry, Project
from tests.fitting.factories import make_run
from tests.runs.factories import make_api
from tests.teams.factories import get_user, make_project, sign_in

pytestmark = pytest.mark.django_db


class Receiver(ThreadingHTTPServer):
    """The other side: keeps what it is sent and answers what the test wants."""

    status = 200
    headers: dict[str, str] = {}

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook/s3cret-path"
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def documents(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, body in self.got]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(settings: object) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    settings.SCALEDASH_BASE_URL = "https://dash.example"
    made = Receiver()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def project() -> Project:
    return make_project("alpha", ann="admin", ed="editor")


@pytest.fixture
def run(project: Project) -> Run:
    return make_run(project, loss=None, name="wide & deep <!channel> a|b")


def add(project: Project, url: str, **wish: str) -> Webhook:
    return create_hook(project, get_user("ann"), HookWish("chat", url, **wish))


def tell(run: Run, number: int = 1, severity: str = "critical") -> Alert:
    values = {"title": "Attention-logit growth", "sentence": "Layer 0 max 1.3e4.", "first_step": 90}
    made = Alert(project=run.project, run=run, key=f"k{number}", severity=severity, **values)
    return raise_alerts([made])[0]


def make_due() -> None:
    Delivery.objects.filter(state="pending").update(next_at=Now() - timedelta(seconds=1))


def test_slack_reads_a_link_and_nothing_that_users_wrote_can_call_everybody(
    run: Run, receiver: Receiver
) -> None:
    hook = add(run.project, receiver.url)
    tell(run)
    deliveries.deliver(hook.pk)
    (document,) = receiver.documents
    text = document["text"]
    assert set(document) == {"text"}
    assert (
        f"<https://dash.example/p/alpha/r/{run.uid}|Attention-logit growth: wide &amp; deep" in text
    )
    assert "<!channel>" not in text
    assert "a|b" not in text
    assert text.endswith("Layer 0 max 1.3e4. Since step 90.")
    told = Alert.objects.get()
    told.sentence = "Entropy collapsed since step 90."
    assert write_line(told).endswith("Entropy collapsed since step 90.")


def test_json_is_signed_and_names_each_alert_by_its_id(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url, format="json")
    alert = tell(run)
    deliveries.deliver(hook.pk)
    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert (told["event"], told["alerts"][0]["id"]) == ("alerts", alert.pk)
    assert "is_read" not in told["alerts"][0]
    signed = f"{headers['X-ScaleDash-Timestamp']}.".encode() + body
    digest = hmac.new(hooks.find_secret(hook).encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-ScaleDash-Signature"] == f"sha256={digest}"


def test_storm_of_alerts_becomes_few_messages(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url, format="json")
    for number in range(45):
        tell(run, number)
    deliveries.deliver(hook.pk)
    assert [len(document["alerts"]) for document in receiver.documents] == [20, 20, 5]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_hook_hears_of_what_it_wants_only(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url, least="critical")
    add(make_project("beta"), receiver.url)
    tell(run, severity="warn")
    quiet = Alert(project=run.project, run=run, key="q", severity="critical", is_quiet=True)
    raise_alerts([quiet])
    assert not Delivery.objects.exists()
    tell(run, 2)
    assert list(Delivery.objects.values_list("hook", flat=True)) == [hook.pk]


def test_alert_that_is_undone_is_not_sent(run: Run, receiver: Receiver) -> None:
    add(run.project, receiver.url)
    with pytest.raises(RuntimeError), deliveries.transaction.atomic():
        tell(run)
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_without_a_public_address_the_text_has_no_link(run: Run, settings: object) -> None:
    settings.SCALEDASH_BASE_URL = ""
    assert "<" not in write_line(tell(run))


def test_failure_is_tried_again_later_each_time_and_given_up_at_last(
    run: Run, receiver: Receiver
) -> None:
    hook = add(run.project, receiver.url)
    tell(run)
    receiver.status = 500
    waits = []
    for _ in range(9):
        deliveries.deliver(hook.pk)
        item = Delivery.objects.get()
        if item.state != "pending":
            break
        waits.append(round((item.next_at - timezone.now()).total_seconds()))
        make_due()
    assert waits == pytest.approx(list(deliveries.RETRY_SECONDS), abs=3)
    assert (item.state, item.attempts, item.code, item.reason) == ("failed", 6, 500, "answered 500")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404])
def test_answer_that_will_not_change_is_final(run: Run, receiver: Receiver, status: int) -> None:
    hook = add(run.project, receiver.url)
    tell(run)
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    deliveries.deliver(hook.pk)
    item = Delivery.objects.get()
    assert (item.state, item.code, len(receiver.got)) == ("failed", status, 1)


def test_receiver_says_how_long_to_wait(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url)
    tell(run)
    receiver.status, receiver.headers = 429, {"Retry-After": "300"}
    deliveries.deliver(hook.pk)
    wait = (Delivery.objects.get().next_at - timezone.now()).total_seconds()
    assert wait == pytest.approx(300, abs=3)


def test_worker_lost_after_sending_means_the_same_alert_once_more(
    run: Run, receiver: Receiver
) -> None:
    hook = add(run.project, receiver.url, format="json")
    alert = tell(run)
    deliveries.post(hook.url, b"{}", {})
    deliveries.claim(hook.pk)
    assert deliveries.deliver(hook.pk) == 0
    make_due()
    deliveries.deliver(hook.pk)
    assert receiver.documents[-1]["alerts"][0]["id"] == alert.pk
    assert Delivery.objects.get().attempts == 2


def test_hook_that_keeps_failing_is_turned_off_says_why_and_can_be_turned_on(
    run: Run, receiver: Receiver
) -> None:
    hook = add(run.project, receiver.url)
    receiver.status = 404
    for number in range(11):
        tell(run, number)
        deliveries.deliver(hook.pk)
    assert len(receiver.got) == 10
    hook.refresh_from_db()
    assert hook.disabled_reason == "10 requests in a row failed; the last: answered 404"
    assert Delivery.objects.count() == 10
    page = sign_in(get_user("ann")).get("/p/alpha/settings/webhooks").content.decode()
    assert hook.disabled_reason in page
    assert AuditEntry.objects.filter(action="webhook.disabled").count() == 1
    with pytest.raises(Refused, match="Turn it on"):
        hooks.send_test(hook)
    sign_in(get_user("ann")).post(f"/p/alpha/settings/webhooks/{hook.pk}/enable")
    receiver.status = 200
    tell(run, 99)
    deliveries.deliver(hook.pk)
    assert Delivery.objects.filter(state="delivered").count() == 1


def test_gone_turns_a_hook_off_at_once(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url)
    tell(run)
    receiver.status = 410
    deliveries.deliver(hook.pk)
    hook.refresh_from_db()
    assert hook.disabled_reason.startswith("gone for good")


def test_success_between_failures_keeps_a_hook_on(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url)
    for number, status in enumerate([404] * 9 + [200] + [404] * 9):
        receiver.status = status
        tell(run, number)
        deliveries.deliver(hook.pk)
    hook.refresh_from_db()
    assert (hook.disabled_at, hook.failures) == (None, 9)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missing", ["broker", "worker"])
def test_sweeper_delivers_itself_where_nobody_else_does(
    run: Run, receiver: Receiver, settings: object, missing: str
) -> None:
    add(run.project, receiver.url)
    tell(run)
    if missing == "broker":
        settings.REDIS_URL = ""
    else:
        Delivery.objects.update(next_at=Now() - timedelta(seconds=31))
    thread = send_alerts(0.0)
    thread.join(20)
    assert Delivery.objects.get().state == "delivered"


def test_log_of_more_than_a_month_ago_is_forgotten(run: Run, receiver: Receiver) -> None:
    hook = add(run.project, receiver.url)
    for number in range(2):
        tell(run, number)
    deliveries.deliver(hook.pk)
    first = Delivery.objects.order_by("pk").first()
    Delivery.objects.filter(pk=first.pk).update(ended_at=Now() - timedelta(days=31))
    assert deliveries.prune_log() == 1


def test_admin_adds_tries_and_removes_a_hook_and_the_address_is_never_shown(
    project: Project, receiver: Receiver
) -> None:
    browser, place = sign_in(get_user("ann")), "/p/alpha/settings/webhooks"
    form = {"name": "chat", "url": receiver.url, "format": "slack", "least": "warn"}
    added = browser.post(place, form)
    hook = Webhook.objects.get()
    assert hooks.find_secret(hook) in added.content.decode()
    browser.post(f"{place}/{hook.pk}/test")
    deliveries.deliver(hook.pk)
    assert "Test from ScaleDash" in receiver.documents[0]["text"]
    pages = [browser.get(path).content.decode() for path in (place, f"{place}.json")]
    audit = str(list(AuditEntry.objects.values_list("action", "target", "details")))
    assert all("s3cret" not in text for text in [*pages, added.content.decode(), audit])
    assert all(hooks.find_secret(hook) not in text for text in pages)
    assert '"state":"delivered"' in pages[1].replace(": ", ":")
    browser.post(f"{place}/{hook.pk}/remove")
    assert not Webhook.objects.exists()
    assert {"webhook.created", "webhook.tested", "webhook.removed"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


def test_project_has_room_for_ten_hooks(project: Project, receiver: Receiver) -> None:
    for _ in range(hooks.MAX_HOOKS):
        add(project, receiver.url)
    with pytest.raises(Refused, match="At most 10"):
        add(project, receiver.url)


def test_api_adds_tries_lists_and_removes(receiver: Receiver) -> None:
    api = make_api()
    place = f"projects/{api.project.slug}/webhooks"
    made = api.post(place, {"name": "ci", "url": receiver.url, "format": "json"})
    assert made.status_code == 201
    assert len(made.json()["secret"]) == 64
    hook = made.json()["id"]
    assert api.post(f"{place}/{hook}/test").status_code == 202
    deliveries.deliver(hook)
    (line,) = api.get(f"{place}/deliveries").json()["items"]
    assert (line["state"], line["code"], line["text"]) == ("delivered", 200, "test")
    listed = api.get(place).content.decode()
    assert "secret" not in listed
    assert api.delete(f"{place}/{hook}").status_code == 204


def test_api_refuses_an_address_inside(settings: object) -> None:
    api = make_api()
    wish = {"name": "x", "url": "https://10.0.0.7/hook"}
    answer = api.post(f"projects/{api.project.slug}/webhooks", wish)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "forbidden_address"
    assert "not a public address" in answer.json()["error"]["message"]
