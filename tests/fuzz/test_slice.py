"""A slice of `make fuzz`, the same each time: few inputs of each campaign, and the proof that a campaign finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.sdk import signatures
from runtime.errors import Untranslatable
from runtime.gateway import inlet
from runtime.mapping import converters
from tests.fuzz import gateway, mappings, verifier
from tests.fuzz.campaign import Result
from tests.support.mutation import VALUES, Mutator

SEED = 1


def silent(tried: int) -> None: ...


def test_a_slice_of_the_verifier_finds_nothing() -> None:
    result = verifier.run(SEED, 4_000, silent)
    assert not result.findings, "\n".join(result.findings)
    assert result.inputs == 4_000
    assert {"refused", "genuine"} <= result.outcomes.keys()


def test_a_slice_of_the_mappings_finds_nothing() -> None:
    result = mappings.run(SEED, 3_000, silent)
    assert not result.findings, "\n".join(result.findings)
    assert {"events", "ignored", "letter"} <= result.outcomes.keys()
    assert len(mappings.packs()) >= 12, "every pack has golden messages"


def test_a_slice_of_the_gateway_finds_nothing(tmp_path: Path) -> None:
    result = gateway.run(SEED, 400, silent, tmp_path)
    assert not result.findings, "\n".join(result.findings)
    assert {"202", "400", "401", "422"} <= result.outcomes.keys()
    assert result.outcomes["kept"] > 10


def test_the_same_seed_makes_the_same_inputs_and_another_makes_others() -> None:
    def some(seed: int) -> list[bytes]:
        mutator = Mutator(seed, [b'{"a": 1}', b"<a>1</a>"])
        return [mutator.mutate(b'{"sku": "A", "lines": [1, 2.5, null]}') for _ in range(200)]

    assert some(1) == some(1)
    assert some(1) != some(2)
    assert len(set(some(1))) > 150
    assert sum(any(value in spoilt for value in VALUES) for spoilt in some(1)) > 20


def test_a_verifier_that_lets_a_forged_request_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures.hmac, "compare_digest", lambda one, other: one[:1] == other[:1])
    assert "forged" in verifier.run(SEED, 4_000, silent).outcomes


def test_a_verifier_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    decode: Callable[[str], bytes] = bytes.fromhex
    monkeypatch.setitem(signatures._DECODERS, "hex", decode)
    verifier.doors.cache_clear()
    try:
        assert any("ValueError" in finding for finding in verifier.run(SEED, 2_000, silent).findings)
    finally:
        verifier.doors.cache_clear()


def test_a_converter_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = mappings.corpus()[0]
    broken: Any = type("Broken", (), {"key": lambda *_: None, "partition_key": lambda *_: None, "translate": _fail})()
    with pytest.raises(ZeroDivisionError):
        mappings.judge(mappings.Golden("x", broken, b"", "", {}), mappings._envelope(golden, Mutator(1)))
    assert converters.to_decimal("1.5") is not None


def test_a_letter_without_a_place_is_found() -> None:
    def nowhere(*_: object) -> None:
        raise Untranslatable("no", position="somewhere")

    golden = mappings.corpus()[0]
    broken: Any = type("Broken", (), {"key": lambda *_: None, "partition_key": lambda *_: None, "translate": nowhere})()
    with pytest.raises(AssertionError, match="is no place"):
        mappings.judge(mappings.Golden("x", broken, b"", "", {}), mappings._envelope(golden, Mutator(1)))


def test_a_gateway_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("a defect")

    monkeypatch.setattr(inlet, "own_key", broken)
    found: Result = gateway.run(SEED, 400, silent, tmp_path)
    assert any("500" in finding for finding in found.findings)


def _fail(*_: object) -> None:
    raise ZeroDivisionError
