"""Which addresses a connection to the outside may go to. Pure: an address in, a sentence or nothing out.

The ranges are those of the IANA special-purpose registries (RFC 6890), written out: Python's own judgement of
them differs from version to version. An IPv4 address inside an IPv6 one is judged as what it leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from msgspec import Struct

from runtime.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Kind = Literal["loopback", "private"]
"""What a setting may open as a whole: this machine, and its site."""

_ORIGIN = re.compile(r"((?i:https?))://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_NUMBER = re.compile(r"[0-9]*|0x[0-9a-f]*")
"""The last part of a host that some resolvers take for an address."""

PRIVATE: dict[Kind, tuple[str, ...]] = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
"""Of this machine and of the site: allowed where the operator says so."""
SPECIAL = {
    "the metadata service of a cloud": (
        "169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128",
        "fd20:ce::254/128",
    ),
    "this network": ("0.0.0.0/8", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10", "fec0::/10"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "2001::/23"),
    "for documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    "a tunnel (6to4)": ("2002::/16",),
}  # fmt: skip
"""Never an address of a partner; only a network that is named in full opens them."""


def _networks(table: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, Network]]:
    return [(kind, ip_network(text)) for kind, texts in table for text in texts]


_SPECIAL = _networks(SPECIAL.items())
_PRIVATE = _networks(PRIVATE.items())
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL6 = IPv6Network("2000::/3")


class Reach(Struct, frozen=True, kw_only=True):
    """How far a connection may go beyond the public Internet."""

    kinds: frozenset[Kind] = frozenset()
    networks: tuple[Network, ...] = ()
    keys: str = "allow_private = true, or its network in allow_networks"
    """The settings that widen it, as the hint of a refusal names them."""

    @property
    def open_hint(self) -> str:
        """What a person can do about a refused address."""
        return f"if it is meant, set {self.keys}"

    @property
    def tls_hint(self) -> str:
        """What a person can do about plain http."""
        return f"use https; plain http is for addresses of the site, with {self.keys}"


PUBLIC = Reach()
SITE = Reach(kinds=frozenset(PRIVATE))


def read_reach(allow_private: bool, allow_networks: list[str]) -> Reach:
    """From settings. Raises `ConfigError` for what is no network in CIDR form."""
    networks: list[Network] = []
    for text in allow_networks:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ConfigError(f"allow_networks: {error}", hint="for example 10.20.0.0/16") from None
    return Reach(kinds=SITE.kinds if allow_private else frozenset(), networks=tuple(networks))


def refusal(text: str, reach: Reach = PUBLIC) -> str:
    """Why a connection to this address is refused, in a few words; empty if it may go there."""
    try:
        address = _inner(ip_address(text))
    except ValueError:
        return "is no address"
    if any(address in network for network in reach.networks):
        return ""
    kind = _kind(address, _SPECIAL)
    if kind:
        return f"is {kind}"
    kind = _kind(address, _PRIVATE)
    if kind:
        return "" if kind in reach.kinds else f"is {kind}"
    if isinstance(address, IPv6Address) and address not in _GLOBAL6:
        return "is not a public address"
    return ""


def is_private(text: str) -> bool:
    """Whether an address belongs to this machine or its site, where plain http is bearable."""
    return bool(_own(text))


def is_loopback(text: str) -> bool:
    """Whether an address is this machine's own."""
    return _own(text) == "loopback"


def _own(text: str) -> str:
    try:
        return _kind(_inner(ip_address(text)), _PRIVATE)
    except ValueError:
        return ""


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to: mapped, and behind the well-known NAT64 prefix (RFC 6052)."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address


def _kind(address: Address, networks: list[tuple[str, Network]]) -> str:
    return next((kind for kind, network in networks if address in network), "")


class Origin(Struct, frozen=True):
    """Scheme, host and port: what a client is pinned to."""

    scheme: str
    host: str
    port: int

    @property
    def plain(self) -> bool:
        """Whether what is sent could be read on the way."""
        return self.scheme == "http"

    @property
    def local(self) -> bool:
        """Whether it says of itself that it is this machine."""
        return self.host == "localhost" or is_loopback(self.host)

    @property
    def literal(self) -> bool:
        """Whether the host is an address and no name."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (80 if self.plain else 443)
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")


def split_origin(url: str, reach: Reach = PUBLIC) -> tuple[Origin, str]:
    """The origin, checked, and the rest (path and query) of an address that a person wrote. Raises `ConfigError`."""
    origin, rest = read_origin(url)
    check_origin(origin, reach)
    return origin, rest


def read_origin(url: str, key: str = "url") -> tuple[Origin, str]:
    """The same, not checked yet. Raises `ConfigError`, naming `key`, for what is spelled so that readers could differ."""
    match = _ORIGIN.match(url)
    rest = url[match.end() :] if match is not None else ""
    if match is None or rest[:1] not in ("", "/", "?"):
        raise ConfigError(
            f"{key} is not an http address with a plain host",
            hint="for example https://partner.example/hooks; no user name in it, and a host with umlauts as xn--…",
        )
    scheme, host, port = match[1].lower(), match[2].strip("[]").lower(), int(match[3] or 0)
    origin = Origin(scheme, host, port or (80 if scheme == "http" else 443))
    if origin.port > 65_535:
        raise ConfigError(f"{key} names the port {origin.port}; there are 65535")
    return origin, rest if rest.startswith("/") else f"/{rest}"


def check_origin(origin: Origin, reach: Reach, key: str = "url") -> None:
    """What can be said before any name is asked for. Raises `ConfigError`, naming `key`."""
    if origin.literal:
        why = refusal(origin.host, reach)
        if why:
            raise ConfigError(f"{key} leads to {origin.host}, which {why}", hint=reach.open_hint)
        if origin.plain and not is_private(origin.host):
            raise ConfigError(
                f"{key} is http and leads out of the site: everybody on the way could read it", hint=reach.tls_hint
            )
    elif _NUMBER.fullmatch(origin.host.rstrip(".").rpartition(".")[2]):
        raise ConfigError(f"{key} holds an address in an unusual form", hint="write it as four numbers with dots")
    elif origin.local and all(refusal(own, reach) for own in ("127.0.0.1", "::1")):
        raise ConfigError(f"{key} leads to {origin.host}, which is this machine", hint=reach.open_hint)
    elif origin.plain and not (reach.kinds or reach.networks):
        raise ConfigError(f"{key} is http: everybody on the way could read it", hint=reach.tls_hint)
