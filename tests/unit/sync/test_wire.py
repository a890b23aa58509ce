"""Frames and header blocks, byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime import record
from runtime.envelope import Sealed
from sync import wire
from tests.support.uplinks import frames_of

ROW = Sealed(
    seq=5, epoch=1, subject="ev.eu-de.realtime.x.y", headers=b"ce-id:1.5.0\nce-type:t\n", data=b"{}", chain=bytes(32)
)
HEAD = (
    b"NATS/1.0\r\nce-id:1.5.0\r\nce-type:t\r\nentrepot-chain:"
    + b"0" * 64
    + b"\r\nNats-Expected-Last-Sequence:4\r\n\r\n"
)


def test_a_batched_frame_is_exactly_this() -> None:
    line = f"HPUB ev.eu-de.realtime.x.y in.b.512.fail.3.2.$FI {len(HEAD)} {len(HEAD) + 2}\r\n".encode()
    assert wire.fast_frames([ROW], b"in.b", 3, flow=512, commit=True) == line + HEAD + b"{}\r\n"


def test_a_single_frame_is_exactly_this() -> None:
    line = f"HPUB ev.eu-de.realtime.x.y in.b.3 {len(HEAD)} {len(HEAD) + 2}\r\n".encode()
    assert wire.single_frames([ROW], b"in.b", 3) == line + HEAD + b"{}\r\n"


def test_the_payload_size_is_the_one_the_server_counts() -> None:
    assert wire.payload_bytes(ROW) == len(HEAD) + 2


def test_both_reply_subjects_give_batch_and_number() -> None:
    for written in (wire.fast_frames([ROW], b"in.b", 3, flow=9, commit=False), wire.single_frames([ROW], b"in.b", 3)):
        assert wire.split_reply(written.split(b" ")[2]) == (b"b", 3)


def test_a_repeated_header_is_not_hidden() -> None:
    found = wire.parse_headers(b"NATS/1.0\r\nce-id:1\r\nCE-ID: 2\r\n\r\n")
    assert found == {"ce-id": "1,2"}


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: not name.startswith("nats-") and name != record.CHAIN_HEADER
)


@given(
    headers=st.dictionaries(NAMES, st.text(max_size=30).map(record.encode_value), max_size=8),
    data=st.binary(max_size=200),
)
def test_any_header_set_and_any_data_come_back_from_the_wire(headers: dict[str, str], data: bytes) -> None:
    block = record.header_block(headers)
    row = Sealed(seq=1, epoch=1, subject="s", headers=block, data=data, chain=bytes(32))
    (frame,) = frames_of(wire.single_frames([row], b"in.b", 1))
    line, rest = frame.split(b"\r\n", 1)
    size = int(line.split(b" ")[3])
    assert record.chained_headers(wire.parse_headers(rest[:size])) == block
    assert rest[size:] == data + b"\r\n"
