"""The only door through which users' input makes this server call another (threat T28).

https only; the name is resolved once, every address it has must be public, and the connection
goes to that very address; no redirect is followed; five seconds, 64 KiB. Hosts that the operator
names in SCALEDASH_WEBHOOK_PRIVATE_HOSTS may be private and speak http.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_URL_LENGTH = 2000
BY_NAME = "the operator of this server can allow a host by name (SCALEDASH_WEBHOOK_PRIVATE_HOSTS)"
PORTS = {"https": 443, "http": 80}
OK, REDIRECTS, GONE = range(200, 300), range(300, 400), 410
PASSING = (408, 425, 429)  # 4xx that may turn out well later
MAX_RETRY_AFTER_SECONDS = 3600
# Where clouds tell a machine its own secrets; no setting opens these.
METADATA = ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")
# IPv6 that carries an IPv4 address in its last 32 bits.
TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
Address = IPv4Address | IPv6Address


class Forbidden(Exception):
    """The address may not be called; the message is a sentence for people."""


@dataclass(frozen=True)
class Answer:
    """How a request went; a final failure is not tried again."""

    is_ok: bool
    reason: str
    code: int | None = None
    is_final: bool = False
    retry_after_seconds: int = 0
    seconds: float = 0.0


def check_url(url: str) -> SplitResult:
    """Return the parts of an address that may be called as far as its text tells."""
    if len(url) > MAX_URL_LENGTH or any(not 32 < ord(letter) < 127 for letter in url):
        raise Forbidden("The address has spaces or letters that do not belong there.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Forbidden(f"The address cannot be read: {error}.") from error
    if not host:
        raise Forbidden("The address names no host; it begins like https://hooks.example.com/.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_named(host)):
        raise Forbidden(f"Only https:// addresses are called; {BY_NAME}.")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("The address must not hold a user name or password.")
    literal = _read_literal(host)
    if literal is not None:
        check_address(literal, host)
    return parts


def check_address(address: Address, host: str) -> None:
    """Refuse every address that is not public, or for named hosts what is never theirs."""
    found = _unwrap(address)
    if str(found) in METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
        raise Forbidden(f"{host} leads to {found}, which is never called.")
    if _is_named(host):
        return
    if not found.is_global or found.is_reserved or found.is_loopback or found.is_private:
        where = f"{host} is" if host == str(found) else f"{host} leads to {found}, which is"
        raise Forbidden(f"{where} not a public address; {BY_NAME}.")


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in TRANSLATED) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_named(host: str) -> bool:
    return host.lower().rstrip(".") in settings.WEBHOOK_PRIVATE_HOSTS


def _read_literal(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def resolve(host: str, port: int) -> str:
    """Return the address to connect to; all that the name has must be allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OSError(f"{host} has no address: {error}") from error
    names = [str(item[4][0]) for item in found]
    for name in names:
        check_address(ip_address(name.partition("%")[0]), host)
    return names[0]


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send one POST; whatever happens is an Answer with a sentence."""
    begun = time.monotonic()
    try:
        parts = check_url(url)
        status, retry_after = _exchange(parts, body, headers)
    except Forbidden as error:
        return Answer(False, str(error), is_final=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        seconds = time.monotonic() - begun
        return Answer(False, _describe(error, seconds), seconds=seconds)
    return _judge(status, retry_after, time.monotonic() - begun)


def _judge(status: int, retry_after: int, seconds: float) -> Answer:
    if status in OK:
        return Answer(True, "", status, seconds=seconds)
    if status in REDIRECTS:
        reason = f"answered {status}; redirects are not followed, store the new address"
        return Answer(False, reason, status, is_final=True, seconds=seconds)
    is_final = 400 <= status < 500 and status not in PASSING
    return Answer(False, f"answered {status}", status, is_final, retry_after, seconds)


def _exchange(parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> tuple[int, int]:
    host = parts.hostname or ""
    port = parts.port or PORTS[parts.scheme]
    address = resolve(host, port)
    sock = socket.create_connection((address, port), timeout=TIMEOUT_SECONDS)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    with _cut_off(sock):
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        return _talk(sock, parts, body, headers)


@contextmanager
def _cut_off(sock: socket.socket) -> Iterator[None]:
    """End the connection after the time limit, and raise TimeoutError then.

    A server that sends a byte now and then keeps every single read below the limit; the end of the
    connection alone would look like the end of its answer.
    """
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(TIMEOUT_SECONDS, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
        if is_late.is_set():
            raise TimeoutError
    finally:
        timer.cancel()
        sock.close()


def _talk(
    sock: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str]
) -> tuple[int, int]:
    connection = http.client.HTTPConnection(parts.hostname or "", timeout=TIMEOUT_SECONDS)
    connection.auto_open = 0  # this socket or none: a new one would resolve the name again
    connection.sock = sock
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("POST", target, body, {**headers, "Host": parts.netloc})
    answer = connection.getresponse()
    answer.read(MAX_ANSWER_BYTES)
    waited = answer.headers.get("Retry-After", "")
    seconds = int(waited) if waited.isascii() and waited.isdigit() and len(waited) < 7 else 0
    return answer.status, min(seconds, MAX_RETRY_AFTER_SECONDS)


def _describe(error: Exception, seconds: float) -> str:
    """Say what went wrong without repeating what the other side sent."""
    if isinstance(error, TimeoutError) or seconds >= TIMEOUT_SECONDS:
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"no HTTP answer ({type(error).__name__})"
