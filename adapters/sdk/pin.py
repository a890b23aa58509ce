"""The one origin that a source is configured for: whatever a partner's answer names, a request goes there. Pure.

Whether its addresses may be connected to, `runtime.policy.addresses` decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from msgspec import Struct

from runtime.errors import ConfigError, Permanent
from runtime.policy.addresses import Kind, Origin, Reach, check_origin, read_origin

_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[\x21-\x5b\x5d-\x7e]*")
"""Printable ASCII without blanks and without the backslash, which some readers take for a slash."""
_KEYS = 'networks = ["private"] for the site, ["loopback"] for this machine; special addresses are never connected to'


class Pin(Struct, frozen=True):
    """The only scheme, host and port that a source speaks to, and how far its name may lead."""

    origin: Origin
    reach: Reach

    def within(self, url: str) -> str:
        """The same address, spelled from the pin. Raises `Permanent` for one that lies anywhere else."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            parts, port = urlsplit(""), 0
        if Origin(parts.scheme, parts.hostname or "", port) != self.origin or parts.username is not None:
            raise Permanent(
                f"an address was named that does not lie on {self.origin}",
                hint="only the configured host is asked; where another one is meant, configure a source for it",
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.startswith("/") or not _PLAIN.fullmatch(path):
            raise Permanent(f"an address on {self.origin} was named that holds characters no address may hold")
        return f"{self.origin}{path}"


def pin(url: str, networks: Collection[Kind], *, key: str = "url") -> Pin:
    """The pin of a configured URL. Raises `ConfigError`, naming `key`."""
    return pin_within(url, opened(networks), key=key)


def opened(networks: Collection[Kind]) -> Reach:
    """How far the settings of a source open."""
    return Reach(kinds=frozenset(networks), keys=_KEYS)


def pin_within(url: str, reach: Reach, *, key: str) -> Pin:
    """The same, for whoever says in another way how far its name may lead."""
    origin, rest = read_origin(url, key)
    if "#" in rest:
        raise ConfigError(f"{key} holds a #, which is never sent", hint="leave it out, or write it as %23")
    # Stricter than for targets: a login goes along.
    if origin.plain and not origin.local:
        raise ConfigError(f"{key}: {origin} must be https: only on this machine itself may it be http")
    check_origin(origin, reach, key)
    return Pin(origin, reach)
