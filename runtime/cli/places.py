"""Where the configuration lies, and the data folder that it names."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import ConfigError

FILE = "entrepot.toml"
SYSTEM_FILE = Path("/etc/entrepot") / FILE


def config_file(named: str | None) -> Path:
    """The file that was named, else the one in this folder, else the system's. Raises `ConfigError` if there is none."""
    if named is not None:
        path = Path(named)
        return path / FILE if path.is_dir() else path
    tried = [Path(FILE), SYSTEM_FILE]
    for path in tried:
        if path.exists():
            return path
    raise ConfigError(
        f"there is no configuration: neither {Path(FILE).absolute()} nor {SYSTEM_FILE} exists",
        hint="`entrepot init` makes one; name another with --config FILE, or run `entrepot demo` to see it work without any",
    )


def new_config_file(named: str | None) -> Path:
    """Where a first configuration goes: the file that was named, else the system's folder if there is one, else here."""
    if named is not None:
        path = Path(named)
        return path / FILE if path.is_dir() else path
    return SYSTEM_FILE if SYSTEM_FILE.parent.is_dir() else Path(FILE)


def data_dir(config: Path) -> Path:
    """The data folder, read without checking the rest: a running agent must answer beside a broken file."""
    from runtime.config.load import read_toml

    named = read_toml(config).get("data_dir", "state")
    if not isinstance(named, str):
        raise ConfigError(f"{config}: data_dir must be a text, the path of a folder")
    return (config.absolute().parent / named).absolute()
