"""NATS keys: Ed25519 pairs that name operators, accounts and users. The seed is the secret; `public` may be shown.

The library behind them is loaded with the first key: it takes more than a megabyte.
"""

from __future__ import annotations

import os
from typing import Literal

Kind = Literal["operator", "account", "user"]


class Key:
    """One pair. Raises `ValueError` for a text that is no seed, or a mistyped one."""

    def __init__(self, seed: str) -> None:
        import nkeys

        self.seed = seed.strip()
        try:
            written = self.seed.encode("ascii")
            prefix, raw = nkeys.decode_seed(bytearray(written))
            # nkeys reads past the checksum at the end.
            whole = bytes(nkeys.encode_seed(raw, prefix)) == written
            self._pair = nkeys.from_seed(bytearray(written))
        except Exception as error:  # nkeys raises errors of binascii, its own and ValueError alike
            raise ValueError("this is no NKey seed") from error
        if not whole:
            raise ValueError("this is no NKey seed: its checksum is wrong")
        self.public = bytes(self._pair.public_key).decode()

    def sign(self, content: bytes) -> bytes:
        """64 bytes."""
        return bytes(self._pair.sign(content))


def make(kind: Kind) -> Key:
    """A new pair from the system's randomness."""
    import nkeys

    prefixes: dict[Kind, int] = {
        "operator": nkeys.PREFIX_BYTE_OPERATOR,
        "account": nkeys.PREFIX_BYTE_ACCOUNT,
        "user": nkeys.PREFIX_BYTE_USER,
    }
    return Key(bytes(nkeys.encode_seed(os.urandom(32), prefixes[kind])).decode())
