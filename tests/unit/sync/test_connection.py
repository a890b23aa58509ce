"""What a connection makes of answers that are none."""

from __future__ import annotations

import pytest

from sync import wire
from sync.channel import HubAway
from sync.connection import _answer


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_an_answer_that_is_no_json_object_counts_as_no_answer(data: bytes) -> None:
    with pytest.raises(HubAway, match=r"answer to STREAM\.INFO\.X cannot be read"):
        _answer("STREAM.INFO.X", data)


def test_an_answer_that_is_an_object_is_given_as_it_is() -> None:
    assert _answer("STREAM.INFO.X", b'{"error":{"code":404}}') == {"error": {"code": 404}}


def test_a_statement_s_frame_counts_bytes_not_characters() -> None:
    frame = wire.message_frame("cp.eu-de", "in.b", {"note": "é"}, b"{}")
    line, rest = frame.split(b"\r\n", 1)
    head_size, size = (int(n) for n in line.split(b" ")[-2:])
    assert rest[:head_size] == "NATS/1.0\r\nnote:é\r\n\r\n".encode()
    assert rest[head_size:size] == b"{}"
    assert rest[size:] == b"\r\n"
