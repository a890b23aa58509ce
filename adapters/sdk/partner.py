"""Asks one pinned host for whole documents: bounded in time and bytes, no redirects, nothing compressed.

Which address is connected to, `runtime.outgoing` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp

from adapters.sdk.answers import Answer
from adapters.sdk.pin import Pin
from runtime.errors import Permanent, Refused, Retryable
from runtime.outgoing import Unreachable, open_session

CHUNK_BYTES = 65_536
CONNECTIONS_MAX = 2


class Partner:
    """Use it as an async context: connections last as long."""

    def __init__(self, pin: Pin, *, seconds_max: float, bytes_max: int) -> None:
        self.pin = pin
        self._timeout = aiohttp.ClientTimeout(total=seconds_max)
        self._bytes_max = bytes_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(
            self.pin.origin, self.pin.reach, timeout=self._timeout, connections_max=CONNECTIONS_MAX
        )
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
                    headers={name.lower(): _text(value) for name, value in answer.headers.items()},
                    links=[_text(value) for value in answer.headers.getall("Link", [])],
                    body=await _read(answer, bytes_max or self._bytes_max, str(self.pin.origin)),
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
        except aiohttp.ClientConnectorDNSError as error:
            raise _unresolved(str(self.pin.origin), error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(f"{self.pin.origin} cannot be reached ({type(error).__name__})") from None


def _unresolved(origin: str, error: aiohttp.ClientConnectorDNSError) -> Refused | Retryable:
    cause = error.os_error
    if isinstance(cause, Unreachable):
        return Refused(cause.sentence, hint=cause.hint)
    return Retryable(f"{origin} cannot be reached: its name cannot be resolved")


def _text(value: str) -> str:
    """Headers are decoded with surrogateescape, and a lone surrogate is no text: it could not be kept."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


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
