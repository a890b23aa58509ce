"""Speaks HTTP to one pinned host: every address of its name is checked, and the connection goes to a checked one.

Bounded in time and bytes; no redirects, no cookies, no proxies, nothing compressed.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.sdk.addresses import Pin, judge
from adapters.sdk.answers import Answer
from runtime.errors import Permanent, Retryable

CHUNK_BYTES = 65_536
CONNECTIONS_MAX = 2
_PLAIN = {"Accept-Encoding": "identity", "User-Agent": "entrepot"}


class CheckedResolver(AbstractResolver):
    """Looks a name up once for each connection; raises `Refused` if one of its addresses may not be connected to."""

    def __init__(self, pin: Pin) -> None:
        self._networks = pin.networks
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name, all of them judged."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            judge(one["host"], self._networks)
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Partner:
    """Use it as an async context: connections last as long. `resolver` None: the machine's, checked."""

    def __init__(self, pin: Pin, *, seconds_max: float, bytes_max: int) -> None:
        self.pin = pin
        self._timeout = aiohttp.ClientTimeout(total=seconds_max)
        self._bytes_max = bytes_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=CheckedResolver(self.pin), use_dns_cache=False, limit=CONNECTIONS_MAX)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            trust_env=False, headers=_PLAIN,
        )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self, url: str, headers: Mapping[str, str], *, form: Mapping[str, str] | None = None, bytes_max: int = 0
    ) -> Answer:
        """GET, or POST of a form. Any status is an answer. Raises `Retryable`, `Permanent`, `Refused`."""
        assert self._session is not None, "asked outside its context"
        address = self.pin.within(url)
        method = "GET" if form is None else "POST"
        try:
            async with self._session.request(
                method, address, headers=headers, data=form, allow_redirects=False
            ) as answer:
                return Answer(
                    status=answer.status,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    links=answer.headers.getall("Link", []),
                    body=await _read(answer, bytes_max or self._bytes_max, self.pin.origin),
                )
        except TimeoutError:
            raise Retryable(f"{self.pin.origin} did not answer in time") from None
        except aiohttp.ClientSSLError as error:
            raise Retryable(
                f"the certificate of {self.pin.origin} was not accepted ({type(error).__name__})",
                hint="the certificate must be valid for this name and come from an authority that this machine knows",
            ) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Permanent(f"{self.pin.origin} cannot be asked like this ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(f"{self.pin.origin} cannot be reached ({type(error).__name__})") from None


async def _read(answer: aiohttp.ClientResponse, bytes_max: int, origin: str) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise Retryable(f"{origin} answered compressed although it was asked not to")
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > bytes_max:
            raise Retryable(
                f"{origin} answered more than {bytes_max} bytes", hint="ask for smaller pages, or raise body_bytes_max"
            )
    return bytes(body)
