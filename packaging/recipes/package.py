"""From a staged file system to a .deb or .rpm, by nfpm. The metadata is in packaging/nfpm.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from recipes.environment import run, tool
from recipes.targets import PACKAGING, VERSION, Target

CONFIGURATION = "/etc/entrepot/"
SYSTEM_FOLDERS = {"etc", "usr"}
OURS = ("/usr/lib/entrepot", "/usr/share/doc/entrepot", "/etc/entrepot")
"""Folders below these belong to the package; the others belong to the system and are only used."""
SCRIPTS = {
    "deb": ("postinst", "prerm", "postrm"),
    "rpm": ("posttrans", "preun", "postun"),
}


def package(target: Target, root: Path, work: Path, dist: Path, epoch: int) -> Path:
    """Write the package into `dist`; its path."""
    for name in SCRIPTS[target.format]:
        text = (PACKAGING / "scripts" / f"{target.format}.{name}").read_text()
        (work / name).write_text(text.replace("@HOME@", target.home))
    recipe = work / "nfpm.yaml"
    recipe.write_text(_recipe(target, root, work, epoch))
    made = dist / file_name(target)
    run(tool("nfpm"), "package", "--config", str(recipe), "--packager", target.format, "--target", str(made))
    return made


def file_name(target: Target) -> str:
    """The name that the package managers expect."""
    if target.format == "deb":
        return f"entrepot_{VERSION}-{target.revision}_amd64.deb"
    return f"entrepot-{VERSION}-{target.revision}.x86_64.rpm"


def _recipe(target: Target, root: Path, work: Path, epoch: int) -> str:
    return Template((PACKAGING / "nfpm.yaml").read_text()).substitute(
        version=VERSION,
        revision=target.revision,
        time=datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        depends=json.dumps(target.depends),
        recommends=json.dumps(target.recommends),
        scripts=work,
        contents=json.dumps(list(_contents(root)), indent=1),
    )


def _contents(root: Path) -> Iterator[dict[str, object]]:
    for path in sorted(root.rglob("*")):
        place = f"/{path.relative_to(root)}"
        info: dict[str, object] = {"owner": "root", "group": "root", "mode": path.lstat().st_mode & 0o7777}
        if path.is_symlink():
            yield {"src": os.readlink(path), "dst": place, "type": "symlink", "file_info": info}
        elif path.is_dir():
            if place.startswith(OURS):
                yield {"dst": place, "type": "dir", "file_info": info}
        elif place.startswith(CONFIGURATION):
            yield {"src": str(path), "dst": place, "type": "config|noreplace", "file_info": info}
        else:
            yield {"src": str(path), "dst": place, "file_info": info}
