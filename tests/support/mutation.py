"""Spoils messages: from true ones to what a broken, old or hostile sender makes of them. Repeatable by its seed.

Blind to what it spoils: bytes are flipped, cut, spliced and repeated; what looks like a JSON value is swapped for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random

import msgspec


def is_json(text: bytes) -> bool:
    """Whether our own decoder reads it."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return True


VALUES = [
    b"null", b"true", b"false", b"0", b"-1", b"-0", b"1.5", b"1e3", b"-1E-400", b"1e400", b"1e999999", b"9007199254740993",
    b"9223372036854775808", b"-9223372036854775809", b"9" * 40, b"0." + b"1" * 60, b"9" * 4_500, b"NaN", b"Infinity", b"-", b"01",
    b'""', b'" "', b'"0"', b'"-"', b'"1,5"', b'"1.234,50"', b'"NaN"', b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\"',
    b'"2026-02-30T25:61:61Z"', b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"', b'"20260230"', b'"/Date(-9e99)/"',
    b'"/Date(99999999999999999)/"', b'"1772438400"', b'"99999999999999999999"', b'"' + b"x" * 5_000 + b'"', b"[]", b"[[]]", b"{}",
    b'[null]', b'{"": null}', b'[{}, [], 1, "x"]', b'{"value": {"value": {"value": 1}}}', b'"a|b\\\\|c"', b'"\\r\\nX-Sku: 1"',
    "\"\u202eabc\u2028\ufeff\"".encode(), "\"\uff11\uff12\u0663\u0967\"".encode(), "\"\U0001f4e6\u0301\u0301\u0301\"".encode(),
    b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"</x>", b"&lol;", b"<![CDATA[x]]>", b"\x00",
]  # fmt: skip
"""Whatever could stand where a value stands, in JSON, XML and CSV."""
WHOLE = [value for value in VALUES if value[:1] in b'"[{-0123456789ntf' and is_json(value)]
"""Those that leave a JSON message readable, so that what is behind the parser is tried too."""
_VALUE = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?|true|false|null|(?<=>)[^<>]+(?=<)|(?<=[;,])[^;,\n"]*(?=[;,\n])'
)
_BRACKETS = ((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"(", b")"))
BYTES_MAX = 65_536
"""Of a result: larger ones only take time."""


@lru_cache(maxsize=2_048)
def _spans(message: bytes) -> tuple[tuple[int, int], ...]:
    """Where values stand; remembered, because true messages come again and again."""
    return tuple(match.span() for match in _VALUE.finditer(message))


class Mutator:
    """Spoils bytes; the same seed and calls give the same results."""

    def __init__(self, seed: int | str, corpus: Sequence[bytes] = ()) -> None:
        """`corpus`: messages to take pieces of."""
        self.random = Random(seed)
        self._corpus = corpus
        self._ways: list[Callable[[bytes], bytes]] = [
            *[self.value] * 14, *[self.swap] * 3, self.flip, self.cut, self.splice, self.repeat, self.insert, self.deepen, self.drop, self.recode,
        ]  # fmt: skip

    def mutate(self, message: bytes) -> bytes:
        """One to four faults."""
        for _ in range(self.random.choice((1, 1, 1, 2, 2, 3, 4))):
            message = self.random.choice(self._ways)(message)
        return message[:BYTES_MAX]

    def value(self, message: bytes) -> bytes:
        """Another value where one stands: of another type, huge, odd, or one of the same message."""
        spans = _spans(message)
        if not spans:
            return self.insert(message)
        start, end = self.random.choice(spans)
        if self.random.random() < 0.25:
            other = self.random.choice(spans)
            return message[:start] + message[other[0] : other[1]] + message[end:]
        return message[:start] + self.random.choice(WHOLE if self.random.random() < 0.85 else VALUES) + message[end:]

    def drop(self, message: bytes) -> bytes:
        """A value, or a member of an object, away."""
        spans = _spans(message)
        if not spans:
            return message
        start, end = self.random.choice(spans)
        return message[:start] + message[end:]

    def flip(self, message: bytes) -> bytes:
        """Single bits."""
        spoilt = bytearray(message or b"\0")
        for _ in range(self.random.choice((1, 1, 2, 8))):
            spoilt[self.random.randrange(len(spoilt))] ^= 1 << self.random.randrange(8)
        return bytes(spoilt)

    def cut(self, message: bytes) -> bytes:
        """An end that is missing, or a beginning."""
        at = self.random.randrange(len(message) + 1)
        return message[:at] if self.random.random() < 0.7 else message[at:]

    def splice(self, message: bytes) -> bytes:
        """The beginning of this one, the end of another."""
        other = self.random.choice(self._corpus) if self._corpus else message
        return message[: self.random.randrange(len(message) + 1)] + other[self.random.randrange(len(other) + 1) :]

    def repeat(self, message: bytes) -> bytes:
        """A piece twice, or very often."""
        start, end = self._piece(message)
        times = self.random.choice((2, 2, 3, 300))
        return message[:start] + message[start:end] * times + message[end:]

    def insert(self, message: bytes) -> bytes:
        """Something between two bytes."""
        at = self.random.randrange(len(message) + 1)
        what = self.random.choice(VALUES) if self.random.random() < 0.5 else self.random.randbytes(4)
        return message[:at] + what + message[at:]

    def deepen(self, message: bytes) -> bytes:
        """Nested, a little or far deeper than anybody does."""
        opening, closing = self.random.choice(_BRACKETS)
        levels = self.random.choice((1, 3, 60, 1_200))
        start, end = self._piece(message) if self.random.random() < 0.5 else (0, len(message))
        return message[:start] + opening * levels + message[start:end] + closing * levels + message[end:]

    def swap(self, message: bytes) -> bytes:
        """Two values in each other's place."""
        spans = _spans(message)
        if len(spans) < 2:
            return message
        first, second = sorted(self.random.sample(spans, 2))
        return b"".join(
            (message[: first[0]], message[slice(*second)], message[first[1] : second[0]], message[slice(*first)], message[second[1] :])
        )  # fmt: skip

    def recode(self, message: bytes) -> bytes:
        """In another encoding, or with a mark in front."""
        text = message.decode("utf-8", "replace")
        return self.random.choice(
            (message.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + message, text.encode("utf-16"), text.encode("latin-1", "replace"))
        )  # fmt: skip

    def _piece(self, message: bytes) -> tuple[int, int]:
        start = self.random.randrange(len(message) + 1)
        return start, min(len(message), start + self.random.choice((1, 8, 64)))
