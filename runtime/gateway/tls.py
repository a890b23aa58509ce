"""TLS on the listener: TLS 1.2 or newer, a certificate that can be renewed while connections stay, client certificates.

A listener keeps its first context for ever; each handshake is given the newest one. Nothing that is open notices.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from hashlib import sha256
from pathlib import Path

from aiohttp import web
from cryptography import x509
from msgspec import Struct

from runtime.errors import ConfigError
from runtime.gateway.settings import GatewaySettings, TlsSettings
from runtime.ports import Certificate

_MODES = {"none": ssl.CERT_NONE, "accept": ssl.CERT_OPTIONAL, "require": ssl.CERT_REQUIRED}
MICROSECONDS = 1_000_000


class Loaded(Struct, frozen=True):
    """What the files of `[gateway.tls]` said. `digest`: of their bytes."""

    context: ssl.SSLContext
    digest: str
    expires_us: int


class Tls:
    """The TLS side of one listener. `context` is what the listener is opened with."""

    def __init__(self, loaded: Loaded) -> None:
        self.context = loaded.context
        self._loaded = loaded
        self.context.sni_callback = self._pick  # asked at each handshake, whether or not a name is given

    @property
    def loaded(self) -> Loaded:
        """What new connections get."""
        return self._loaded

    def use(self, loaded: Loaded) -> None:
        """For handshakes from now on."""
        self._loaded = loaded

    def _pick(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._loaded.context


class TlsSite(web.BaseSite):
    """A listening socket; a handshake must be done in the time that a head has: aiohttp's own would wait a minute."""

    def __init__(self, runner: web.BaseRunner, tls: Tls, settings: GatewaySettings, listener: socket.socket) -> None:
        super().__init__(runner, ssl_context=tls.context, backlog=settings.backlog_max)
        self._listener = listener
        self._handshake_seconds = settings.head_timeout_seconds

    @property
    def name(self) -> str:
        """For people; nothing depends on it."""
        return "https"

    async def start(self) -> None:
        """Accept connections from now on."""
        await super().start()
        assert self._runner.server is not None, "the runner was set up"
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server,
            sock=self._listener,
            ssl=self._ssl_context,
            ssl_handshake_timeout=self._handshake_seconds,
            backlog=self._backlog,
        )


def load(settings: TlsSettings, directory: Path) -> Loaded:
    """Blocking. Raises `ConfigError` that names the key and the file."""
    cert, key = directory / settings.cert, directory / settings.key
    content = digest(settings, directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # a resumed session would not show its certificate to a newer list of authorities
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
        raise ConfigError(
            f"gateway.tls: {cert} and {key} cannot be used together ({reason})",
            hint="cert holds the chain, own certificate first, and key its private key without a passphrase, both as PEM",
        ) from None
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(directory / settings.client_ca)
        except (ssl.SSLError, OSError):
            raise ConfigError(f"gateway.tls.client_ca: {directory / settings.client_ca} holds no certificate") from None
    context.verify_mode = _MODES[settings.clients]
    return Loaded(context, content, _expires_us(cert))


def digest(settings: TlsSettings, directory: Path) -> str:
    """Of the bytes of all files. Blocking. Raises `ConfigError` for one that cannot be read."""
    found = sha256()
    for name in ("cert", "key", "client_ca"):
        relative = getattr(settings, name)
        if relative is None:
            continue
        try:
            found.update(sha256((directory / relative).read_bytes()).digest())
        except OSError as error:
            raise ConfigError(f"gateway.tls.{name}: {directory / relative} cannot be read ({error.strerror})") from None
    return found.hexdigest()


def client_certificate(connection: ssl.SSLObject | None) -> Certificate | None:
    """What the client has shown, if anything; the handshake has verified it."""
    shown = None if connection is None else connection.getpeercert(binary_form=True)
    if shown is None:
        return None
    try:
        subject = x509.load_der_x509_certificate(shown).subject.rfc4514_string()
    except ValueError:
        subject = ""  # what OpenSSL reads and this library does not is known by its fingerprint alone
    return Certificate(sha256(shown).digest(), subject)


def _expires_us(cert: Path) -> int:
    found = x509.load_pem_x509_certificates(cert.read_bytes())
    return min(int(one.not_valid_after_utc.timestamp()) for one in found) * MICROSECONDS
