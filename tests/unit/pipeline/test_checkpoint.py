"""Checkpoints: each signs where the lanes stand and an account that adds up, and names the one before."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runtime import record
from runtime.envelope import Checkpoint, Signed
from runtime.pipeline import checkpoint as checkpoint_module
from tests.support.kernel import Bench, configure, drive, message


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(configure(tmp_path))
    yield bench
    bench.close()


def opened(bench: Bench, body: bytes, kind: str = "checkpoint") -> tuple[Checkpoint, str]:
    signed = msgspec.json.decode(body, type=Signed)
    key = Ed25519PublicKey.from_public_bytes(bench.kernel.identity.public_key)
    key.verify(base64.b64decode(signed.signature), record.signing_input(kind, signed.statement))
    assert signed.key_id == bench.kernel.identity.key_id
    return msgspec.json.decode(signed.statement, type=Checkpoint), sha256(signed.statement.encode()).hexdigest()


def pending(bench: Bench) -> list[tuple[int, bytes]]:
    return list(drive(bench.kernel.checkpoints.pending()))


def test_a_checkpoint_says_where_everything_stands(bench: Bench) -> None:
    bench.accept(message(), message("A", 2, withhold=True), message("b1"), message("A", 3, ignore="a copy"))
    bench.translate()
    rows = bench.take()
    drive(bench.kernel.lanes["realtime"].acknowledge(1))
    drive(bench.kernel.checkpoints.write())
    ((number, body),) = pending(bench)
    statement, _ = opened(bench, body)
    assert (statement.number, number, statement.epoch, statement.region, statement.final) == (1, 1, 1, "eu-de", False)
    assert (statement.lanes["realtime"].sealed, statement.lanes["realtime"].acked) == (2, 1)
    assert statement.lanes["realtime"].chain == rows[0].chain.hex()
    assert statement.lanes["bulk"].chain == record.GENESIS.hex()
    account = dict(statement.books)
    assert account == {
        "accepted": 4, "delivered": 1, "withheld": 0, "dead_lettered": 0, "ignored": 1, "expired": 0, "pending": 2,
    }  # fmt: skip
    assert account.pop("accepted") == sum(account.values())
    assert statement.policy == bench.kernel.policy.sealer.clearance.digest


def test_each_checkpoint_names_the_one_before_across_restarts_and_when_they_were_sent(bench: Bench) -> None:
    previous = ""
    for number in range(1, 6):
        drive(bench.kernel.checkpoints.write(final=number == 5))
        statement, digest = opened(bench, dict(pending(bench))[number])
        assert (statement.number, statement.previous, statement.final) == (number, previous, number == 5)
        previous = digest
        drive(bench.kernel.checkpoints.sent(number))
        bench.restart()
    assert pending(bench) == []


def test_pending_ones_come_in_order_and_bounded_until_they_are_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "PENDING_ROWS_MAX", 3)
    for _ in range(5):
        drive(bench.kernel.checkpoints.write())
    assert [number for number, _ in pending(bench)] == [1, 2, 3]
    drive(bench.kernel.checkpoints.sent(1))
    drive(bench.kernel.checkpoints.sent(3))
    assert [number for number, _ in pending(bench)] == [2, 4, 5]


def test_old_ones_go_only_when_they_were_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "KEPT_MAX", 2)
    for _ in range(3):
        drive(bench.kernel.checkpoints.write())
    drive(bench.kernel.checkpoints.sent(2))
    for _ in range(2):
        drive(bench.kernel.checkpoints.write())
    assert [row[0] for row in bench.rows("SELECT number FROM checkpoints ORDER BY 1")] == [1, 3, 4, 5]


def test_a_changed_statement_or_another_kind_does_not_verify(bench: Bench) -> None:
    drive(bench.kernel.checkpoints.write())
    ((_, body),) = pending(bench)
    with pytest.raises(InvalidSignature):
        opened(bench, body.replace(b'\\"accepted\\":0', b'\\"accepted\\":1'))
    with pytest.raises(InvalidSignature):
        opened(bench, body, kind="epoch")
