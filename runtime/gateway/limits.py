"""Is this body too deep, too many lines, a bomb? Pure answers about bytes, each bounded in time and memory."""

from __future__ import annotations

import zlib
from itertools import accumulate

import msgspec

from runtime.gateway import problems

_BRACKETS = b"[]{}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_SIGNS = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def is_deeper(body: bytes, depth_max: int) -> bool:
    """True if JSON brackets outside strings nest deeper than `depth_max`.

    Counting settles most messages; the others are scanned at C speed, about 25 ns a bracket. On text that is not
    JSON the answer is right up to the byte where a JSON parser would stop, which is all that protects the parser.
    """
    if body.count(b"{") + body.count(b"[") <= depth_max:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    steps = memoryview(outside.translate(_SIGNS, _OTHERS)).cast("b")
    return max(accumulate(steps), default=0) > depth_max


def is_object(body: bytes) -> bool:
    """Whether this is a well-formed JSON object. Depth must have been looked at before."""
    try:
        body.decode()  # values are only skipped over below, and what is in them might be no text
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return True


def inflate(body: bytes, encoding: str, bytes_max: int, ratio_max: int) -> bytes:
    """The plain body, never holding more than `bytes_max` or `ratio_max` times its size. Raises `Rejection`."""
    window = _WINDOW_BITS.get(encoding)
    if window is None:
        raise problems.wrong_encoding(compressed=True)
    limit = min(bytes_max, ratio_max * len(body))
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise problems.bad_compression() from None
    if len(plain) > limit:
        what = f"{bytes_max} bytes or {ratio_max} times its compressed size"
        raise problems.too_large("The inflated body", what, "Split the message, or send it uncompressed.")
    if not inflater.eof or inflater.unused_data:
        raise problems.bad_compression()
    return plain
