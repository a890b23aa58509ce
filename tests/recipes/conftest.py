"""The package that these tests look into."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.built import built_once


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb for Debian 13: on Debian 12 it is one for another Python than the builder's."""
    mine = tmp_path_factory.getbasetemp()
    return built_once(mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine, "deb13")


@pytest.fixture(scope="session")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the package."""
    root = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(root)], check=True)
    return root
