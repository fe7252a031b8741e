"""T28: a webhook reaches public addresses only, whatever its name says and however it answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fitting.alerts import sending
from fitting.alerts.sending import Forbidden, check_url, post, resolve

CERTIFICATE = Path(__file__).parent / "self_signed.pem"
PUBLIC = "93.184.216.34"
Patch = pytest.MonkeyPatch


def answer_with(monkeypatch: Patch, *addresses: str) -> list[str]:
    """Let the resolver give these addresses; returns the names that were asked for."""
    asked: list[str] = []

    def resolve_name(host: str, port: int, **options: object) -> list[tuple]:
        asked.append(host)
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_name)
    return asked


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1"),
        *("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::7f00:1", "2002:7f00:1::", "::7f00:1", "2001:db8::1"),
    ],
)
def test_t28_name_that_leads_inside_is_refused(monkeypatch: Patch, address: str) -> None:
    answer_with(monkeypatch, address)
    with pytest.raises(Forbidden, match="leads to"):
        resolve("hooks.example", 443)


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::808:808"]
)
def test_t28_public_address_is_allowed(monkeypatch: Patch, address: str) -> None:
    answer_with(monkeypatch, address)
    assert resolve("hooks.example", 443) == address


def test_t28_one_private_address_among_public_ones_refuses_the_name(monkeypatch: Patch) -> None:
    answer_with(monkeypatch, PUBLIC, "10.0.0.1")
    with pytest.raises(Forbidden):
        resolve("hooks.example", 443)


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example/x", "ftp://hooks.example/x", "file:///etc/passwd", "gopher://x/"),
        *("https://", "https:///x", "//hooks.example/x", "hooks.example/x", "javascript:alert(1)"),
        *("https://user:pw@hooks.example/", "https://user@hooks.example/"),
        *("https://hooks.example/a b", "https://hooks.example/\r\nHost: x", "https://h\x00/"),
        *("https://hooks.example:99999/", "https://hooks.example:x/", "https://[::1/"),
        *(
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://10.0.0.1/",
        ),
        *("https://169.254.169.254/latest/meta-data", "https://ex\u00e4mple.com/"),
        "https://hooks.example/" + "x" * 2000,
    ],
)
def test_t28_address_that_says_it_already_is_refused_when_it_is_stored(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url)


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "127.1", "localhost", "localhost."])
def test_t28_other_spellings_of_this_machine_are_refused_when_they_are_resolved(host: str) -> None:
    answer = post(f"https://{host}/", b"{}", {})
    assert not answer.is_ok
    assert answer.is_final or "no address" in answer.reason


def test_t28_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    monkeypatch: Patch,
) -> None:
    asked, called = answer_with(monkeypatch, PUBLIC), []

    def connect(place: tuple[str, int], **options: object) -> socket.socket:
        called.append(place)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    answer = post("https://hooks.example:8443/x", b"{}", {})
    assert (asked, called) == (["hooks.example"], [(PUBLIC, 8443)])
    assert (answer.is_ok, answer.is_final, answer.reason) == (False, False, "Connection refused")


def test_t28_named_host_may_be_private_but_never_hold_the_secrets_of_a_cloud(
    monkeypatch: Patch, settings: object
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = ["chat.internal"]
    assert check_url("http://chat.internal/hook").scheme == "http"
    answer_with(monkeypatch, "10.0.0.9")
    assert resolve("chat.internal", 443) == "10.0.0.9"
    with pytest.raises(Forbidden):
        resolve("other.internal", 443)
    for address in ("169.254.169.254", "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254"):
        answer_with(monkeypatch, address)
        with pytest.raises(Forbidden):
            resolve("chat.internal", 443)


@pytest.fixture
def serve(settings: object) -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    listening = []

    def start(behave: Callable[[socket.socket], None], greets: bool = False) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def answer_once() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as caller:
                if not greets:
                    caller.recv(65536)
                behave(caller)

        threading.Thread(target=answer_once, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield start
    for server in listening:
        server.close()


def test_t28_answer_without_an_end_is_cut_off(
    serve: Callable[..., str], monkeypatch: Patch
) -> None:
    def pour(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(4096):
            caller.sendall(b"x" * 65536)

    answer = post(serve(pour), b"{}", {})
    assert answer.is_ok


def test_t28_answer_that_drips_is_cut_off(serve: Callable[..., str], monkeypatch: Patch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.3)
    stop = threading.Event()

    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.02):
            caller.sendall(b"X: y\r\n")

    answer = post(serve(drip), b"{}", {})  # the drip alone would go on for ever
    stop.set()
    assert (answer.is_ok, answer.is_final) == (False, False)


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 99999 x\r\n\r\n"])
def test_t28_what_is_no_http_is_a_failure_whose_words_are_not_repeated(
    serve: Callable[..., str], reply: bytes
) -> None:
    answer = post(serve(lambda caller: caller.sendall(reply)), b"{}", {})
    assert not answer.is_ok
    assert "SSH" not in answer.reason


def test_t28_certificate_of_somebody_unknown_is_refused(
    serve: Callable[..., str], monkeypatch: Patch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    got = []

    def speak_tls(caller: socket.socket) -> None:
        with context.wrap_socket(caller, server_side=True) as sock:
            got.append(sock.recv(65536))

    url = serve(speak_tls, greets=True).replace("http:", "https:")
    answer = post(url, b"{}", {})
    assert "certificate is not valid" in answer.reason
    assert got == []
