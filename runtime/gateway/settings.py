"""The `[gateway]` table: where to listen, and how much of anything a sender may ask for.

Every limit has a bound here, so that a typing error cannot switch it off.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.errors import ConfigError
from runtime.gateway.proxies import Proxies, ProxyHeader

Kilobytes = 1024
Megabytes = 1024 * 1024


class SourceLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one source may ask for."""

    body_bytes_max: Annotated[int, Meta(ge=1, le=64 * Megabytes)] = Megabytes
    """One message; also one line of NDJSON, and the inflated size of a compressed one."""
    ndjson_body_bytes_max: Annotated[int, Meta(ge=1, le=256 * Megabytes)] = 8 * Megabytes
    """One NDJSON request; it is held in memory and committed as a whole."""
    ndjson_lines_max: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    """Lines of one NDJSON request. More gets 413."""
    depth_max: Annotated[int, Meta(ge=1, le=500)] = 64
    """Nested objects and arrays. Parsers recurse, so depth is refused before any of them runs."""
    content_types: list[Annotated[str, Meta(pattern=r"^[a-z0-9.+*-]{1,60}/[a-z0-9.+*-]{1,60}$")]] = []
    """Only these, such as `application/json`; parameters are ignored. Others get 415. Empty: any."""
    json_object: bool = False
    """Refuse what is no JSON object with 400 instead of keeping it as a letter."""
    rate_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 10_000.0
    """Requests in the long run; an NDJSON request counts as one. More gets 429 with Retry-After."""
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    """Requests that may come at once before the rate holds."""
    in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 4_096
    """Requests in hand at once, so that one source cannot take every connection. More gets 429. After a restart all that wait come at once: see `backlog_max`."""
    compressed: bool = False
    """Accept `Content-Encoding: gzip` and `deflate`. Off: 415."""
    ratio_max: Annotated[int, Meta(ge=2, le=1_000)] = 20
    """A compressed body may grow by this factor and no further (a bomb grows by about 1,000)."""


class TlsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gateway.tls]`: TLS 1.2 or newer. Renewed files are used within seconds, and no connection is cut."""

    cert: str
    """PEM file: the certificate and the chain to its authority."""
    key: str
    """PEM file: its private key, without a passphrase."""
    client_ca: str | None = None
    """PEM file: authorities whose client certificates are believed."""
    clients: Literal["none", "accept", "require"] = "none"
    """Certificates of clients: not asked for, looked at where one is shown, or nobody connects without one."""


class GatewaySettings(SourceLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gateway]`. The limits of `SourceLimits` stand here too: they hold for every source without its own."""

    listen: str = "127.0.0.1:8080"
    """`host:port`; `[::1]:8080` for IPv6. Port 0 lets the system choose."""
    tls: TlsSettings | None = None
    """Without it the listener speaks plain HTTP: then it belongs on loopback, behind a proxy."""
    public_url: Annotated[str, Meta(pattern=r"^https?://[^\s'?#]{1,200}$")] | None = None
    """What partners reach the listener by, such as `https://gateway.example`; stands in `entrepot onboard`."""
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies whose word counts for where a request comes from. Nobody else's does."""
    proxy_header: ProxyHeader = "x-forwarded-for"
    """The header that those proxies write; the other one is never read."""
    header_bytes_max: Annotated[int, Meta(ge=1024, le=256 * Kilobytes)] = 16 * Kilobytes
    """Request line and all headers together. More gets 431."""
    headers_max: Annotated[int, Meta(ge=8, le=1_000)] = 64
    """Header lines of one request. More gets 431."""
    connections_max: Annotated[int, Meta(ge=1, le=100_000)] = 5_120
    """Open connections; further ones get 503 at once. More than `backlog_max`, so that a restart refuses nobody."""
    backlog_max: Annotated[int, Meta(ge=1, le=65_535)] = 4_096
    """Connections that the kernel of the operating system keeps for us before we accept them."""
    buffered_bytes_max: Annotated[int, Meta(ge=Megabytes)] = 64 * Megabytes
    """Bodies in hand, all sources together. More gets 503 with Retry-After."""
    head_timeout_seconds: Annotated[float, Meta(gt=0, le=300)] = 10.0
    """From the first byte of a request to the end of its headers. Later gets 408."""
    body_timeout_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    """From the end of the headers to the end of the body. Later gets 408."""
    keepalive_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 75.0
    """An idle connection is closed after this long."""

    @property
    def address(self) -> str:
        """The URL that partners use, as far as it is known."""
        return self.public_url or f"http{'s' if self.tls else ''}://{self.listen}"


def parse_listen(listen: str) -> tuple[str, int]:
    """`"127.0.0.1:8080"` → `("127.0.0.1", 8080)`. Raises `ConfigError`."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f'gateway.listen is "{listen}"; write it as host:port, for example "127.0.0.1:8080"')
    return host, int(port)


def is_loopback(listen: str) -> bool:
    """True when nobody outside this machine can reach the address. Raises `ConfigError`."""
    host, _ = parse_listen(listen)
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_gateway(settings: GatewaySettings) -> None:
    """What no single key can say. Raises `ConfigError`."""
    parse_listen(settings.listen)
    Proxies(settings.trusted_proxies, settings.proxy_header)
    tls = settings.tls
    if tls is not None and (tls.client_ca is None) != (tls.clients == "none"):
        raise ConfigError(
            'gateway.tls: client_ca says whose clients are believed, and clients = "accept" or "require" asks them',
            hint="give both or neither",
        )
