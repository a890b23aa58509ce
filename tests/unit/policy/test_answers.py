"""Retry-After in both of its forms, and what is none."""

from __future__ import annotations

import pytest

from runtime.policy.answers import RETRY_AFTER_SECONDS_MAX, retry_after_seconds

NOW_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2026 00:02:00", 120.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("999999999", RETRY_AFTER_SECONDS_MAX),
        ("Fri, 01 Jan 2100 00:00:00 GMT", RETRY_AFTER_SECONDS_MAX),
    ],
)
def test_seconds_and_dates_are_understood(value: str, seconds: float) -> None:
    assert retry_after_seconds(value, NOW_US) == seconds


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1.5", "١٢", "9" * 30, "Thu, 99 Jan 2026 00:00:00 GMT", "\udcff", "1e9"]
)
def test_nonsense_is_nothing(value: str) -> None:
    assert retry_after_seconds(value, NOW_US) is None
