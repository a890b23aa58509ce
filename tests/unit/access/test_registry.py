"""Who shows this credential? Only its digest is known, and it opens nothing before, after or beside what was granted."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.access.denial import Denied
from runtime.access.keys import RANDOM_BYTES, new_key, read_key
from runtime.access.registry import CallerRow, Credential, Registry, Roll
from runtime.access.settings import CallerLimits

KEY, OTHER = new_key(bytes(range(RANDOM_BYTES))), new_key(bytes(range(1, RANDOM_BYTES + 1)))
WMS = CallerRow(name="wms", grants=["source:wms:write"], limits=CallerLimits(burst=5), created_us=0)
CREDENTIAL = Credential(id=KEY.id, caller="wms", kind="key", digest=KEY.digest, created_us=0)


def registry(caller: CallerRow = WMS, *credentials: Credential, **more: Any) -> Registry:
    return Registry(Roll(callers=[caller], credentials=credentials or [CREDENTIAL], **more), {})


def reason(known: Registry, text: str, now_us: int = 1) -> str:
    with pytest.raises(Denied) as denied:
        known.by_key(text, now_us)
    assert "entk_" not in str(denied.value)
    return denied.value.reason


def test_a_key_opens_for_its_caller_and_its_scopes() -> None:
    caller = registry().by_key(KEY.text, 1)
    assert caller.name == "wms"
    assert caller.may(("source", "wms", "write"))
    assert not caller.may(("source", "wms", "receipts"))


def test_the_digest_of_a_key_is_no_key() -> None:
    assert KEY.text.encode() not in KEY.digest
    assert reason(registry(), f"entk_{KEY.id}_{KEY.digest.hex()[:43]}") == "unknown"


def test_the_secret_of_one_key_does_not_open_another() -> None:
    mixed = f"entk_{KEY.id}_{OTHER.text.partition('_')[2].partition('_')[2]}"
    assert read_key(mixed) is not None
    assert reason(registry(), mixed) == "unknown"


@given(st.text(max_size=80) | st.from_regex(r"entk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_whatever_is_shown_is_denied_and_never_breaks(text: str) -> None:
    assert reason(registry(), text) == "unknown"


def test_an_unknown_key_is_compared_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    honest = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append(len(one))
        return honest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    for text in (KEY.text, OTHER.text, "nonsense"):
        try:
            registry().by_key(text, 1)
        except Denied:
            continue
    assert compared == [32, 32, 32]


def test_what_does_not_exist_is_not_opened_by_the_digest_that_stands_in_for_it() -> None:
    assert reason(registry(), "") == "unknown"
    ghost = replace(CREDENTIAL, id="", digest=bytes(32))
    assert reason(registry(WMS, replace(ghost, id="0" * 12)), "") == "unknown"


def test_a_key_ends_at_its_end_and_not_before() -> None:
    known = registry(WMS, replace(CREDENTIAL, expires_us=100))
    assert known.by_key(KEY.text, 99).name == "wms"
    assert reason(known, KEY.text, 100) == "expired"


def test_a_revoked_key_or_caller_opens_nothing() -> None:
    assert reason(registry(WMS, replace(CREDENTIAL, revoked_us=1)), KEY.text) == "revoked"
    assert reason(registry(replace(WMS, revoked_us=1)), KEY.text) == "revoked"


def test_a_certificate_is_known_by_its_fingerprint_or_by_its_subject() -> None:
    by_print = Credential(id="1", caller="wms", kind="certificate", digest=b"f" * 32, created_us=0)
    by_subject = Credential(id="2", caller="wms", kind="certificate-subject", digest=b"s" * 32, created_us=0)
    known = registry(WMS, by_print, by_subject)
    assert known.by_certificate(b"f" * 32, b"-" * 32, 1).name == "wms"
    assert known.by_certificate(b"-" * 32, b"s" * 32, 1).name == "wms"
    for fingerprint, subject in ((b"s" * 32, b"f" * 32), (b"-" * 32, b"-" * 32)):
        with pytest.raises(Denied):
            known.by_certificate(fingerprint, subject, 1)


def test_a_subject_bound_here_has_what_was_granted_here_and_not_what_its_token_says() -> None:
    bound = Credential(id="1", caller="wms", kind="oidc-subject", digest=b"o" * 32, created_us=0)
    known = registry(WMS, bound)
    assert not known.by_subject(b"o" * 32, "oidc-1", ["source:dhl:write"], 1).may(("source", "dhl", "write"))
    free = known.by_subject(b"-" * 32, "oidc-2", ["openid", "source:dhl:write", "source:dhl:wrong"], 1)
    assert (free.name, free.scopes) == ("oidc-2", (("source", "dhl", "write"),))


def test_own_limits_win_over_those_of_everybody() -> None:
    roll = Roll(callers=[WMS], credentials=[CREDENTIAL])
    limits = Registry(roll, {}, CallerLimits(rate_per_second=2.0, burst=9)).callers["wms"].limits
    assert (limits.rate_per_second, limits.burst) == (2.0, 5)
