"""The file system of a package, as it will lie on the host: what comes from where. Modes and times are the same everywhere."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from recipes import environment, interpreter, materials
from recipes.targets import LIBRARY, PACKAGING, ROOT, Target

DOCUMENTS = ("operations.md", "settings.md", "mappings.md", "record-format.md", "packaging.md")
BILL = "usr/share/doc/entrepot/sbom.cdx.json"
UNITS = ("*.service", "*.socket", "*.target", "*.timer")
COMPLETIONS = {
    "entrepot.bash": "usr/share/bash-completion/completions/entrepot",
    "entrepot.fish": "usr/share/fish/vendor_completions.d/entrepot.fish",
}
ZSH_COMPLETION = {"deb": "usr/share/zsh/vendor-completions/_entrepot", "rpm": "usr/share/zsh/site-functions/_entrepot"}


def stage(target: Target, root: Path, epoch: int) -> None:
    """Fill `root` with everything that the package holds; files get the time `epoch` (seconds since 1970)."""
    release = root / target.home.lstrip("/")
    release.mkdir(parents=True)
    environment.build(target, release)
    if target.private_python:
        interpreter.build(target, release / "python")
    _link(root / LIBRARY.lstrip("/") / "current", target.release)
    _link(root / "usr/bin/entrepot", f"../lib/entrepot/{target.release}/bin/entrepot")
    _copy(PACKAGING / "etc" / "entrepot.toml", root / "etc/entrepot/entrepot.toml")
    _units(root)
    _documents(target, root, release)
    _completions(target, root)
    (root / BILL).write_text(materials.bill(target, release, epoch), encoding="utf-8")
    _settle(root, epoch)


def _units(root: Path) -> None:
    """Whatever lies in systemd/: units, the user, the folders, and scripts that units call."""
    source = ROOT / "systemd"
    for pattern in UNITS:
        for unit in sorted(source.glob(pattern)):
            _copy(unit, root / "usr/lib/systemd/system" / unit.name)
    for folder in ("sysusers.d", "tmpfiles.d"):
        for file in sorted((source / folder).glob("*.conf")):
            _copy(file, root / "usr/lib" / folder / file.name)
    for script in sorted(f for f in source.glob("*") if f.is_file() and not f.suffix):
        _copy(script, root / LIBRARY.lstrip("/") / script.name, mode=0o755)


def _documents(target: Target, root: Path, release: Path) -> None:
    folder = root / "usr/share/doc/entrepot"
    for name in DOCUMENTS:
        if (ROOT / "docs" / name).exists():
            _copy(ROOT / "docs" / name, folder / name)
    shutil.copytree(
        ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("state", "drops", "__pycache__")
    )
    _compress(ROOT / "CHANGELOG.md", folder / "changelog.gz")
    (folder / "copyright").write_text(_copyright(target, release))
    for page in sorted((PACKAGING / "man").glob("*.[1-8]")):
        _compress(page, root / f"usr/share/man/man{page.suffix[1:]}" / f"{page.name}.gz")


def _copyright(target: Target, release: Path) -> str:
    """Our own licence, then each library with its licence and where its full text lies."""
    text = (PACKAGING / "copyright").read_text()
    for info, metadata in materials.distributions(environment.site_packages(target, release)):
        name = info.name.removesuffix(".dist-info")
        if not name.startswith("entrepot-"):
            texts = [f for f in sorted(info.rglob("*")) if f.is_file() and _is_licence(f)]
            text += f"\nFiles: {target.home}/lib/{target.python}/site-packages/{info.name}/*\n"
            text += "".join(
                f"Comment: the library {name}; see {target.home}/{f.relative_to(release)}\n" for f in texts[:1]
            )
            text += f"License: {materials.licence(metadata)}\n"
    if target.private_python:
        text += (
            f"\nFiles: {target.home}/python/*\nComment: from Debian; the texts lie in {target.home}/python/licences\n"
        )
    return text


def _is_licence(file: Path) -> bool:
    return file.name.upper().startswith(("LICEN", "COPYING", "NOTICE")) or "licenses" in file.parts


def _completions(target: Target, root: Path) -> None:
    places = COMPLETIONS | {"_entrepot": ZSH_COMPLETION[target.format]}
    for name, place in places.items():
        source = PACKAGING / "completions" / name
        if source.exists():
            _copy(source, root / place)


def _link(link: Path, to: str) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(to)


def _copy(source: Path, to: Path, *, mode: int = 0o644) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    to.chmod(mode)


def _compress(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.compress(source.read_bytes(), compresslevel=9, mtime=0))


def _settle(root: Path, epoch: int) -> None:
    """One mode for files, one for programs and folders, one time for all: nothing of the builder remains."""
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
