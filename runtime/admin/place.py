"""Where the admin socket lies. A Unix socket's name may have 107 bytes; a longer one moves to a short place."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path

NAME_BYTES_MAX = 107


def socket_path(data_dir: Path) -> Path:
    """`<data_dir>/admin.sock`, or a name made from the data_dir's in the runtime folder when that is too long."""
    plain = data_dir.absolute() / "admin.sock"
    if len(os.fsencode(plain)) <= NAME_BYTES_MAX:
        return plain
    folder = Path(os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    digest = sha256(os.fsencode(data_dir.absolute())).hexdigest()[:16]
    return folder / f"entrepot-{os.getuid()}-{digest}" / "admin.sock"
