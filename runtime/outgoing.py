"""Requests to one foreign origin, and to nowhere else: every address is checked, and the checked one is connected to.

No redirects, no proxies of the environment, no cookies; names are resolved once for each connection. What comes back
is bounded. Failures are `Retryable` and never repeat what was sent or answered.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from yarl import URL

from runtime.errors import ConfigError, Retryable
from runtime.policy.addresses import PUBLIC, Origin, Reach, check_origin, is_private, refusal

CONNECTIONS_MAX = 16
"""To one origin at once."""
KEEP_SECONDS = 4.0
"""How long an idle connection is kept: less than servers do (Node: 5 s), or the next request would meet a closed one."""
HEADERS = {"User-Agent": "entrepot", "Accept-Encoding": "identity"}


class Answer(Struct, frozen=True, kw_only=True):
    """What came back: header names are found in any case, and the body is its first bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreachable(OSError):
    """A name leads to an address that must not be connected to."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class CheckedResolver(AbstractResolver):
    """Gives the addresses of a name only if every one of them may be connected to: one bad apple spoils the answer."""

    def __init__(self, origin: Origin, reach: Reach, resolver: AbstractResolver) -> None:
        self._origin = origin
        self._reach = reach
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises `Unreachable`, and `OSError` when the name cannot be resolved."""
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            why = refusal(result["host"], self._reach)
            if why:
                raise Unreachable(f"{self._origin} leads to an address that {why}", self._reach.open_hint)
            if self._origin.plain and not is_private(result["host"]):
                raise Unreachable(f"{self._origin} leads out of the site without TLS", self._reach.tls_hint)
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Outgoing:
    """A client of one origin. Opens nothing before the first request."""

    def __init__(
        self,
        origin: Origin,
        *,
        reach: Reach = PUBLIC,
        timeout_seconds: float,
        ca_file: str = "",
        system_too: bool = False,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """`ca_file`: certificates to trust instead of the system's, or beside them (`system_too`); read here.

        Raises `ConfigError`, also for an origin that may not be reached: of an address no resolver is asked.
        """
        check_origin(origin, reach)
        self.origin = origin
        self._reach = reach
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._ssl = _trust(ca_file, system_too=system_too)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, answer_bytes_max: int
    ) -> Answer:
        """One request; `target` is the encoded path with its query. Raises `Retryable`."""
        assert target.startswith("/")
        url = URL(f"{self.origin}{target}", encoded=True)
        try:
            async with self._open().request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                read = await _first_bytes(answer, answer_bytes_max)
                return Answer(status=answer.status, headers=answer.headers, body=read)
        except TimeoutError:
            raise Retryable(f"{self.origin} did not answer in {self._timeout.total:g} s") from None
        except aiohttp.ClientConnectorDNSError as error:
            raise _unresolved(self.origin, error) from None
        except aiohttp.ClientConnectorCertificateError:
            raise Retryable(
                f"{self.origin} shows a certificate that is not trusted",
                hint="if it belongs to a private authority, name its certificate in ca_file",
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Retryable(f"{self.origin} cannot be reached ({type(error).__name__})") from None

    async def close(self) -> None:
        """Ends the connections; `send` would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(
                self.origin, self._reach, timeout=self._timeout, trust=self._ssl, resolver=self._resolver
            )
        return self._session


def open_session(
    origin: Origin,
    reach: Reach,
    *,
    timeout: aiohttp.ClientTimeout,
    connections_max: int = CONNECTIONS_MAX,
    trust: ssl.SSLContext | None = None,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """Connects to checked addresses only. The origin is one that `check_origin` took: of an address no resolver is asked.

    `trust` None: the system's certificates. `resolver` None: the machine's.
    """
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(origin, reach, resolver or aiohttp.ThreadedResolver()),
        use_dns_cache=False,
        limit=connections_max,
        keepalive_timeout=KEEP_SECONDS,
        ssl=trust or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers=HEADERS,
    )


async def _first_bytes(answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The status has been said: what then breaks the body off changes nothing."""
    found = bytearray()
    try:
        while len(found) < bytes_max:
            part = await answer.content.read(bytes_max - len(found))
            if not part:
                return bytes(found)
            found += part
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    # More than anybody reads: the connection cannot be used again.
    answer.close()
    return bytes(found)


def _unresolved(origin: Origin, error: aiohttp.ClientConnectorDNSError) -> Retryable:
    cause = error.os_error
    if isinstance(cause, Unreachable):
        return Retryable(cause.sentence, hint=cause.hint)
    return Retryable(f"the name of {origin} cannot be resolved")


def _trust(ca_file: str, *, system_too: bool) -> ssl.SSLContext | None:
    if not ca_file:
        return None
    try:
        trust = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"ca_file: {ca_file} cannot be read as certificates ({type(error).__name__})",
            hint="it holds the certificates of the authority in PEM form",
        ) from None
    if system_too:
        trust.load_default_certs()
    return trust
