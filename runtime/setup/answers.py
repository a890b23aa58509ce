"""What the first run must know, each answer checked at once: a wrong one is a sentence with the nearest right one.

The same checks serve a person who types and a file that Ansible wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from runtime import plugins, record
from runtime.config.load import convert
from runtime.errors import ConfigError
from runtime.gateway.settings import parse_listen
from runtime.nearest import nearest
from runtime.ports import Scope
from runtime.setup.countries import CODES

ENVIRONMENTS = ("test", "prod")
KINDS = ("webhook", "file_drop")
SCHEMES = ("tls", "nats", "wss")
HUB_PORT = 4222
WEB_PORT = 443
FILE_BYTES_MAX = 65_536
LISTEN = "127.0.0.1:8080"
LOCAL_HUB = f"nats://127.0.0.1:{HUB_PORT}"


class SourceAnswers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sources.<name>]` of the answers: one partner system."""

    adapter: Literal["webhook", "file_drop"] = "webhook"
    auth: Literal["hmac-sha256", "bearer"] = "hmac-sha256"
    """How a webhook's sender proves who it is; its secret is made here."""
    path: str = ""
    """Of a file drop: its folder. Default: `drops/<name>` in the data folder."""


class HubAnswers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hub]` of the answers."""

    servers: Annotated[list[str], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [LOCAL_HUB])
    credentials: str = ""
    """A .creds file; it is copied to where only the agent may read it."""
    ca: str = ""
    """A PEM file, where the hub's certificate comes from a private authority."""
    replicas: Annotated[int, Meta(ge=1, le=5)] | None = None
    """Default: 3 in prod, 1 in test."""


class Answers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that the first run needs."""

    region: str
    jurisdiction: str
    environment: Literal["test", "prod"]
    data_dir: str = ""
    """Default: /var/lib/entrepot for a packaged agent, else `state` beside the configuration."""
    listen: str = LISTEN
    hub: HubAnswers = msgspec.field(default_factory=HubAnswers)
    sources: dict[str, SourceAnswers] = {}


def read_answers(raw: dict[str, Any], *, where: str, directory: Path) -> Answers:
    """Checked answers; file names in them are relative to `directory`. Raises `ConfigError` with the key."""
    sources = raw.get("sources", {})
    for name, part in sources.items() if isinstance(sources, dict) else ():
        convert(part, SourceAnswers, where=where, at=f"sources.{name}")
    given = convert(raw, Answers, where=where)

    def checked(key: str, check: Callable[[str], str], text: str) -> str:
        return _at(f"{where}: {key}", check, text)

    for name in given.sources:
        checked("sources", region, name)
    hub = msgspec.structs.replace(
        given.hub,
        servers=[checked(f"hub.servers[{at}]", server, text) for at, text in enumerate(given.hub.servers)],
        credentials=checked("hub.credentials", lambda text: credentials(text, directory), given.hub.credentials),
        ca=checked("hub.ca", lambda text: authority(text, directory), given.hub.ca),
    )
    return msgspec.structs.replace(
        given,
        region=checked("region", region, given.region),
        jurisdiction=checked("jurisdiction", jurisdiction, given.jurisdiction),
        listen=checked("listen", listen, given.listen),
        hub=hub,
    )


def _at(place: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}", hint=error.hint) from None


def region(text: str) -> str:
    """Raises `ConfigError` with the nearest text that would do."""
    if record.NAME.fullmatch(text):
        return text
    fit = tidied(text)
    raise ConfigError(
        f"{text!r} is no name: use only a-z, 0-9 and - (at most 40)" + (nearest(fit, [fit]) if fit else "")
    )


def tidied(text: str) -> str:
    """What is left of a text when it must be a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]


def source_name(text: str) -> str:
    """As `region`; empty means none."""
    return region(text) if text else ""


def jurisdiction(text: str) -> str:
    """A code of ISO 3166-1, in capitals. Raises `ConfigError`."""
    code = text.strip().upper()
    if code not in CODES:
        close = sorted(CODES, key=lambda known: (known[0] != code[:1], known[-1:] != code[-1:], known))[:1]
        raise ConfigError(
            f"{text!r} is no country code of ISO 3166{nearest(code, close) if len(code) == 2 else ''}",
            hint="two letters, such as DE, FR or US",
        )
    return code


def choice(text: str, choices: tuple[str, ...]) -> str:
    """One of a few words. Raises `ConfigError` with the nearest."""
    if text not in choices:
        raise ConfigError(f"{text!r} is none of the choices{nearest(text, choices)}")
    return text


def listen(text: str) -> str:
    """`host:port`. Raises `ConfigError`."""
    parse_listen(text)
    return text


def server(text: str) -> str:
    """`tls://`, `nats://` or `wss://host:port`; a missing port is the usual one. Raises `ConfigError`."""
    parts = urlsplit(text if "://" in text else f"//{text}")
    scheme = parts.scheme or "tls"
    try:
        host, port = parts.hostname, parts.port or (WEB_PORT if scheme == "wss" else HUB_PORT)
    except ValueError:
        raise ConfigError(
            f"{text!r} has no usable port", hint=f"for example tls://hub.example.com:{HUB_PORT}"
        ) from None
    if parts.username or parts.password:
        raise ConfigError("a hub's address must hold no user or password", hint="give a credentials file instead")
    if not host or " " in text:
        raise ConfigError(f"{text!r} names no host", hint=f"for example tls://hub.example.com:{HUB_PORT}")
    shown = f"[{host}]" if ":" in host else host
    if not parts.scheme:
        raise ConfigError(f"{text!r} does not say how to speak{nearest(text, [f'tls://{shown}:{port}'])}")
    if scheme not in SCHEMES:
        raise ConfigError(f"{text!r} begins with {scheme!r}{nearest(scheme, SCHEMES)}")
    return f"{scheme}://{shown}:{port}"


def credentials(text: str, directory: Path) -> str:
    """The absolute path of a file that the hub's link can use; empty means none. Raises `ConfigError`."""
    return _hub_file("credentials", text, directory)


def authority(text: str, directory: Path) -> str:
    """The absolute path of a PEM file that can be loaded; empty means none. Raises `ConfigError`."""
    return _hub_file("tls_ca", text, directory)


def _hub_file(key: str, text: str, directory: Path) -> str:
    if not text:
        return ""
    path = (directory / Path(text).expanduser()).absolute()
    try:
        size = path.stat().st_size
    except OSError as error:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, siblings) if siblings else ""
        raise ConfigError(f"{path} cannot be read ({error.strerror}){close}") from None
    if not path.is_file() or size > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is no file of at most {FILE_BYTES_MAX} bytes")
    hub = plugins.hub()
    settings = convert({"servers": [LOCAL_HUB], key: str(path)}, hub.settings, where="hub")
    hub.check(settings, Scope(region="", environment="", directory=str(directory), secret=_no_secret))
    return str(path)


def _no_secret(name: str) -> bytes:
    raise ConfigError(f"{name}: the first run takes files", hint="name the file itself")
