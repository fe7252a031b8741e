"""Network addresses: what is this machine only, and who is on the other end."""

import ipaddress

UNKNOWN = "0.0.0.0"  # nosec B104
IPV6_SITE_BITS = 64


def is_loopback(host: str) -> bool:
    """Say whether a server bound to `host` can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def find_client(remote: str, forwarded: str, trusted_proxies: int) -> str:
    """Return the address of the caller, as far as it can be believed.

    Each of our own proxies appends the address it was called from to X-Forwarded-For, so with n
    of them the n-th entry from the right is the caller; whatever stands before it is the caller's
    own claim. An IPv6 caller owns a whole /64 and is counted as that.
    """
    hops = [part.strip() for part in forwarded.split(",") if part.strip()]
    behind = 0 < trusted_proxies <= len(hops)
    text = hops[-trusted_proxies] if behind else remote
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return UNKNOWN
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = ipaddress.ip_network((int(address), IPV6_SITE_BITS), strict=False)
    return str(network.network_address)
