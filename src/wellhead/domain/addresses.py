"""Which addresses on the internet this program may be sent to by its users."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import urlsplit

_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # between providers and their customers
            "127.0.0.0/8",
            "168.63.129.16/32",  # a cloud's own service, though public by number
            "169.254.0.0/16",  # link-local, and most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # among them tunnels, which carry other addresses inside
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
        ),
    )
)
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""An IPv4 address in the last 32 bits, on networks that speak IPv6 only."""
_WELL_KNOWN_PORTS = (80, 443)
_FIRST_FREE_PORT = 1024


def is_public(address: str) -> bool:
    """Tell whether anyone on the internet may be there; what is no address is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = _inside(found)
        if inner is None:
            return found in _PUBLIC_V6 and not any(found in n for n in _NOT_PUBLIC_V6)
        found = inner
    return not any(found in network for network in _NOT_PUBLIC_V4)


def _inside(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def wrong_with(url: str, *, any_port: bool) -> str | None:
    """Say why a URL is no endpoint, before anything is looked up; None if it may be."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it must begin with http:// or https:// and name a host"
    if "@" in parts.netloc:
        return "it must not hold a user name or a password"
    if port == 0:
        return "no server listens on port 0"
    if port is None or any_port:
        return None
    if port not in _WELL_KNOWN_PORTS and port < _FIRST_FREE_PORT:
        return "the port must be 80, 443, or 1024 and above"
    return None
