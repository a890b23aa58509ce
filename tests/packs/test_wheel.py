"""What is installed holds the packs: their data lies in the wheel beside the package that names them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from runtime import packs
from runtime.mapping import load_pack

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_pack_and_each_compiles_from_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        points = archive.read(next(n for n in archive.namelist() if n.endswith("entry_points.txt"))).decode()
        listed = points.split("[entrepot.packs]\n", 1)[1].split("\n\n")[0].strip().splitlines()
        folders = dict(line.split(" = ") for line in listed)
        assert sorted(folders) == packs.names()
        for name, module in folders.items():
            folder = module.replace(".", "/")
            load_pack(
                lambda file, at=folder: archive.read(f"{at}/{file}").decode(),
                f"{name}/pack.toml",
                options=FILLED.get(name),
            )


FILLED: dict[str, dict[str, str]] = {}
"""Options for packs that cannot do without."""
