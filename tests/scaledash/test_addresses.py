"""Addresses: loopback, and the caller behind proxies."""

from __future__ import annotations

import pytest

from scaledash.lib.addresses import find_client, is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LocalHost"]
)
def test_host_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.evil"])
def test_host_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "client"),
    [
        ("192.0.2.7", "", 0, "192.0.2.7"),
        ("192.0.2.7", "203.0.113.9", 0, "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9", 1, "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", 1, "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", 2, "203.0.113.9"),
        ("10.0.0.1", "", 1, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", 2, "10.0.0.1"),
        ("10.0.0.1", "nonsense", 1, "0.0.0.0"),
        ("", "", 0, "0.0.0.0"),
        ("::ffff:192.0.2.7", "", 0, "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::"),
    ],
)
def test_client_is_found_without_believing_its_claims(
    remote: str, forwarded: str, proxies: int, client: str
) -> None:
    assert find_client(remote, forwarded, proxies) == client
