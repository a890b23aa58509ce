"""Which addresses a source may connect to, and which addresses belong to the one host that it is configured for. Pure.

Whatever a partner's answer, a name server or a forged message says: nothing here ever leads to another host.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from runtime.errors import ConfigError, Permanent, Refused

Network = Literal["private", "loopback"]
"""What a setting may open beside the public Internet. Link-local addresses (cloud metadata) are never opened."""
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_PLAIN = re.compile(r"[\x21-\x5b\x5d-\x7e]*")
"""Printable ASCII without blanks and without the backslash, which some readers take for a slash."""
_NAT64 = IPv6Network("64:ff9b::/96")


class Pin(Struct, frozen=True):
    """The only scheme, host and port that a source speaks to."""

    scheme: str
    host: str
    """As in the URL: lower case, IPv6 in brackets."""
    port: int
    networks: frozenset[Network]

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def within(self, url: str) -> str:
        """The same address, spelled from the pin. Raises `Permanent` for one that lies anywhere else."""
        try:
            parts = urlsplit(url)
            theirs = (parts.scheme, _host(parts), parts.port or _PORTS.get(parts.scheme))
        except ValueError:
            parts, theirs = None, None
        if parts is None or theirs != (self.scheme, self.host, self.port) or parts.username is not None:
            raise Permanent(
                f"an address was named that does not lie on {self.origin}",
                hint="only the configured host is asked; where another one is meant, configure a source for it",
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.startswith("/") or not _PLAIN.fullmatch(path):
            raise Permanent(f"an address on {self.origin} was named that holds characters no address may hold")
        return self.origin + path


def pin(url: str, networks: Collection[Network]) -> Pin:
    """The pin of a configured URL. Raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        host, port = _host(parts), parts.port
    except ValueError:
        raise ConfigError(f"{url!r} is no address") from None
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise ConfigError(f"{url!r} is no address of the kind https://HOST/PATH")
    if parts.username is not None or parts.fragment:
        raise ConfigError("an address holds no user name, password or #", hint='put credentials into "login"')
    found = Pin(parts.scheme, host, port or _PORTS[parts.scheme], frozenset(networks))
    literal = _literal(host)
    if literal is not None:
        try:
            judge(str(literal), found.networks)
        except Refused as error:
            raise ConfigError(f"{found.origin}: {error}", hint=error.hint) from None
    local = host == "localhost" or (literal is not None and _kind(literal) == "loopback")
    if parts.scheme == "http" and not local:
        raise ConfigError(f"{found.origin} must be https: only on this machine itself may it be http")
    if local and "loopback" not in found.networks:
        raise ConfigError(f"{found.origin} is this machine", hint='if that is meant: networks = ["loopback"]')
    return found


def judge(address: str, networks: Collection[Network]) -> None:
    """Raises `Refused` for an address that a source may not connect to."""
    kind = _kind(ip_address(address.partition("%")[0]))
    if kind == "public" or kind in networks:
        return
    hint = f'if that is meant: networks = ["{kind}"]' if kind else "such addresses are never connected to"
    raise Refused(f"its name leads to an address of a {kind or 'link-local or special'} network", hint=hint)


def _kind(address: IPv4Address | IPv6Address) -> str:
    """public, private, loopback, or empty for what nobody connects to."""
    inner = _embedded(address)
    if inner is not None:
        return _kind(inner)
    if address.is_loopback:
        return "loopback"
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return ""
    return "public" if address.is_global else "private"


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a packet to this IPv6 address may end at."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    return f"[{host}]" if ":" in host else host


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None
