"""The package under test, in two versions that differ in nothing else."""

from __future__ import annotations

import os
from pathlib import Path

VERSION, NEXT_VERSION = "0.1.0", "0.1.1"


def package(suite: str, version: str = VERSION) -> Path:
    """The .deb for a Debian suite."""
    return Path(os.environ["ENTREPOT_DEBS"], f"entrepot_{version}_{suite}.deb")
