"""Whose address is it? A proxy's word counts only if the proxy is trusted, and only the part that it wrote itself.

Pure. RFC 7239 (Forwarded) or X-Forwarded-For, read from the right: what stands further left, anybody may have written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from multidict import CIMultiDictProxy

from runtime.errors import ConfigError

ProxyHeader = Literal["x-forwarded-for", "forwarded"]
HOPS_MAX = 20
_FOR = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)
_PORT = re.compile(r"^\[([0-9A-Fa-f:.]+)\](?::\d+)?$|^([0-9.]+):\d+$")


class Proxies:
    """The proxies that are believed, and the header that they write."""

    def __init__(self, trusted: Sequence[str] = (), header: ProxyHeader = "x-forwarded-for") -> None:
        """Raises `ConfigError`."""
        self._header = header
        self._trusted = [_network(text) for text in trusted]

    def sender(self, peer: str, headers: CIMultiDictProxy[str]) -> str:
        """The nearest address that is no trusted proxy; the peer's own where nobody trusted says otherwise.

        A proxy may write a line of its own below the sender's: lines of one name are one list (RFC 9110, section 5.3).
        """
        if not self._trusted or not self._believes(_address(peer)):
            return peer
        found = peer
        for hop in reversed(self._hops(",".join(headers.getall(self._header, ())))):
            address = _address(hop)
            if address is None:
                return found
            found = str(address)
            if not self._believes(address):
                return found
        return found

    def _hops(self, value: str) -> list[str]:
        parts = [part.strip() for part in value.rsplit(",", HOPS_MAX)[-HOPS_MAX:]]
        if self._header == "x-forwarded-for":
            return parts
        found = [_FOR.search(part) for part in parts]
        return [(match[1] or match[2] or "") if match else "" for match in found]

    def _believes(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ConfigError(
            f'gateway.trusted_proxies: "{text}" is no address or network',
            hint='for example "10.0.0.5" or "10.1.0.0/16"',
        ) from None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    match = _PORT.match(text)
    try:
        address = ip_address((match[1] or match[2]) if match else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
