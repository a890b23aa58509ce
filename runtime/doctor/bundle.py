"""The support bundle: what the doctor found and what helps to understand it, in one file for somebody else to read.

Each part is redacted where it is gathered. As a second wall, a part in which a secret of this region is found
all the same is left out as a whole.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import tarfile
from argparse import Namespace
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from threading import Thread

from runtime import clock
from runtime.cli import places
from runtime.config.load import read_toml
from runtime.doctor import collect
from runtime.errors import ConfigError, EntrepotError
from runtime.ports import Finding

PART_SECONDS_MAX = 30.0
MODE = 0o600
SECRET_BYTES_MIN = 6
"""Shorter ones would be found everywhere by chance."""
WORD_BYTES_MIN = 20
"""A file of credentials holds words for people beside the secret."""


def write(path: Path, options: Namespace, findings: Iterable[Finding]) -> dict[str, object]:
    """Write the bundle and give its manifest. Raises `ConfigError` when the file is there, or cannot be written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        raise ConfigError(f"--bundle: {path} is there already", hint="name another file") from None
    except OSError as error:
        raise ConfigError(f"--bundle: {path} cannot be written ({error.strerror})") from None
    with os.fdopen(handle, "wb") as file:
        content, manifest = build(options, findings)
        file.write(content)
        file.flush()
        os.fsync(handle)
    return manifest


def build(options: Namespace, findings: Iterable[Finding]) -> tuple[bytes, dict[str, object]]:
    """The bytes of the bundle, and its manifest."""
    guard = _needles(options)
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {
        "messages, events, letters, keys, secrets, credentials, mappings": "never part of a bundle"
    }
    for name, part in collect.parts(options, findings):
        content, reason = _gathered(part)
        if any(needle in content for needle in guard):
            content, reason = b"", "a secret of this region stood in it; please report that"
        if reason:
            left_out[name] = reason
        else:
            files[name] = content
    manifest: dict[str, object] = {
        "made_at": clock.rfc3339(clock.now_us()),
        "files": {name: {"bytes": len(c), "sha256": sha256(c).hexdigest()} for name, c in files.items()},
        "left_out": left_out,
    }
    return _packed({"manifest.json": collect.document(manifest), **files}), manifest


def _gathered(part: Callable[[], bytes]) -> tuple[bytes, str]:
    """The part, or why it is missing; never an exception, never longer than the limit."""
    result: list[tuple[bytes, str]] = []

    def work() -> None:
        try:
            result.append((part(), ""))
        except (collect.Left, EntrepotError) as error:
            result.append((b"", str(error)))
        except BaseException as error:  # noqa: BLE001 - the other parts are worth having all the same
            result.append((b"", f"gathering it failed ({type(error).__name__})"))

    thread = Thread(target=work, name="bundle", daemon=True)
    thread.start()
    thread.join(PART_SECONDS_MAX)
    return result[0] if result else (b"", f"not gathered within {PART_SECONDS_MAX:g} s")


def _needles(options: Namespace) -> list[bytes]:
    """Every secret and key of this region, as it is and in the usual disguises."""
    secrets: list[bytes] = []
    try:
        config = places.config_file(options.config).absolute()
        named = read_toml(config).get("secrets", {}).get("dir")
        folders = [places.data_dir(config) / "identity"] + ([config.parent / named] if isinstance(named, str) else [])
    except EntrepotError:
        folders = []
    for folder in folders:
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.is_file() and path.suffix != ".pub" and os.access(path, os.R_OK):
                content = path.read_bytes()
                secrets += [content.strip(), *(word for word in content.split() if len(word) >= WORD_BYTES_MIN)]
    disguised = [d for s in secrets if len(s) >= SECRET_BYTES_MIN for d in (s, base64.b64encode(s), s.hex().encode())]
    return sorted(set(disguised))


def _packed(files: dict[str, bytes]) -> bytes:
    """The same files give the same bytes: no times, no owners, one order."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"entrepot-support/{name}")
            entry.size, entry.mode = len(content), MODE
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
