"""One bounded GET of a small document from a pinned https address."""

from __future__ import annotations

import aiohttp

from runtime.errors import Retryable

SECONDS_MAX = 15.0


async def fetch_document(url: str, bytes_max: int) -> bytes:
    """The body of a 200. No redirects: they could lead anywhere. Raises `Retryable`."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS_MAX), trust_env=True) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise Retryable(f"{url} answered {answer.status}")
            body = await answer.content.read(bytes_max + 1)
            if len(body) > bytes_max:
                raise Retryable(f"{url} answered more than {bytes_max} bytes")
            return body
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Retryable(f"{url} cannot be reached ({type(error).__name__})") from None
