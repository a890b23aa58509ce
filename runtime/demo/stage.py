"""The place where a demo runs: a copy of the example region in a folder of its own, on free ports."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import sysconfig
import tempfile
from pathlib import Path

from msgspec import Struct

from runtime.errors import ConfigError

PARTS = ("entrepot.toml", "policy.toml", "mappings", "samples")
HERE = Path(__file__).resolve().parent
EXAMPLES = (HERE.parents[1] / "examples" / "eu-de", HERE / "eu-de")
"""In a source tree, and inside an installed package."""


class Stage(Struct, frozen=True, kw_only=True):
    """Folders, ports and programs of one demo."""

    root: Path
    kept: bool
    config: Path
    hub_port: int
    gateway_port: int
    nats_server: str

    @property
    def hub_url(self) -> str:
        return f"nats://127.0.0.1:{self.hub_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def drop_folder(self) -> Path:
        return self.config.parent / "drops" / "legacy"

    def remove(self) -> None:
        """Take the folder away, unless somebody asked to keep it."""
        if not self.kept:
            shutil.rmtree(self.root, ignore_errors=True)


def build_stage(keep: str | None) -> Stage:
    """Raises `ConfigError`: no hub program, no example, or a folder that is not empty."""
    nats_server = find_nats_server()
    example = _find_example()
    root = _root(keep)
    region = root / "eu-de"
    region.mkdir()
    for part in PARTS:
        source = example / part
        shutil.copytree(source, region / part) if source.is_dir() else shutil.copy(source, region / part)
    hub_port, gateway_port = _free_ports(2)
    stage = Stage(
        root=root,
        kept=keep is not None,
        config=region / "entrepot.toml",
        hub_port=hub_port,
        gateway_port=gateway_port,
        nats_server=nats_server,
    )
    text = stage.config.read_text("utf-8")
    text = _replace(text, "servers", f'["{stage.hub_url}"]')
    text = _replace(text, "listen", f'"127.0.0.1:{gateway_port}"')
    stage.config.write_text(text, "utf-8")
    return stage


def find_nats_server() -> str:
    """The hub's program: beside this Python, or on the PATH. Raises `ConfigError` when it is not installed."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        raise ConfigError(
            "the demo needs the program nats-server, which is not installed",
            hint=f"{sys.executable} -m pip install 'entrepot[demo]'",
        )
    return found


def _find_example() -> Path:
    for folder in EXAMPLES:
        if (folder / "entrepot.toml").is_file():
            return folder
    raise ConfigError(f"the example region is missing: {EXAMPLES[-1]}", hint="reinstall entrepot")


def _root(keep: str | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="entrepot-demo-"))
    root = Path(keep).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        occupied = any(root.iterdir())
    except OSError as error:
        raise ConfigError(f"--keep: {root} cannot be used ({error.strerror})") from None
    if occupied:
        raise ConfigError(f"--keep: {root} is not empty", hint="name a new folder: a demo starts with empty books")
    return root


def _replace(text: str, key: str, value: str) -> str:
    """Another value for a key that stands once in the example's configuration."""
    changed, count = re.subn(rf"(?m)^{key} = (\[.*?\]|\".*?\")", f"{key} = {value}", text)
    if count != 1:
        raise ConfigError(f"the example's entrepot.toml has {count} lines '{key} = …', one was expected")
    return changed


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
