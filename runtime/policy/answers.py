"""What an HTTP answer asks for. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_SECONDS_MAX = 7 * 86_400.0
"""Nobody may park us longer; the schedule of the caller bounds it further."""


def retry_after_seconds(value: str, now_us: int) -> float | None:
    """Of `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. None for nothing, and for nonsense."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # A date without a zone is GMT: HTTP knows no other.
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    wait = (moment - datetime.fromtimestamp(now_us / 1_000_000, UTC)).total_seconds()
    return min(max(wait, 0.0), RETRY_AFTER_SECONDS_MAX)
