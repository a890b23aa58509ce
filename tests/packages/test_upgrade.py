"""What the package manager does to a region: data and edited files stay until they are purged."""

from __future__ import annotations

import pytest

from tests.support.debs import LATER, NEXT, package
from tests.support.installed import SERVICE, SETTINGS, SOCKET, STATE, Installed

pytestmark = [pytest.mark.packages, pytest.mark.needs("machines")]
CONFIGURATION = f"{SETTINGS}/entrepot.toml"


def stock(number: int) -> str:
    return f'{{"id": "s-{number}", "kind": "PING", "at": "2026-03-02T08:14:09Z"}}'


def test_an_upgrade_keeps_data_and_the_edited_file_and_the_version_before_reads_on(
    installed: Installed, suite: str
) -> None:
    machine = installed.machine
    machine.must("sh", "-c", f"echo '# edited by the region' >> {CONFIGURATION}")
    assert installed.post(stock(1)) == 202
    installed.install(package(suite, NEXT))
    assert installed.post(stock(2)) == 202
    upgraded = installed.status()
    assert (upgraded["version"], upgraded["facts"]) == (NEXT, 2)
    assert "# edited by the region" in machine.must("cat", CONFIGURATION)
    assert f"# Written for {NEXT}." in machine.must("cat", f"{CONFIGURATION}.dpkg-dist")
    installed.install(package(suite), "--force-downgrade")
    assert installed.post(stock(3)) == 202
    assert installed.status()["facts"] == 3


def test_a_downgrade_behind_a_newer_schema_says_why_not_and_changes_nothing(installed: Installed, suite: str) -> None:
    machine = installed.machine
    assert installed.post(stock(1)) == 202
    installed.install(package(suite, LATER))
    assert installed.status()["facts"] == 1
    machine.must("systemctl", "stop", SOCKET, SERVICE)
    before = machine.must("sha256sum", f"{STATE}/journal.db")
    installed.install(package(suite), "--force-downgrade")
    assert machine.run("systemctl", "start", SERVICE)[0] != 0
    assert installed.property("ExecMainStatus") == "2"
    assert "this program knows up to" in machine.log(SERVICE)
    machine.must("systemctl", "stop", SOCKET, SERVICE)
    assert machine.must("sha256sum", f"{STATE}/journal.db") == before
    installed.install(package(suite, LATER))
    machine.must("systemctl", "start", SERVICE)
    assert installed.status()["facts"] == 1


def test_removing_keeps_data_and_configuration_and_purging_takes_both(installed: Installed, suite: str) -> None:
    machine = installed.machine
    assert installed.post(stock(1)) == 202
    key = machine.must("sha256sum", f"{STATE}/identity/signing.key")
    machine.must("dpkg", "--remove", "entrepot")
    assert machine.run("systemctl", "is-active", SERVICE, SOCKET)[1].split() == ["inactive", "inactive"]
    assert machine.must("sha256sum", f"{STATE}/identity/signing.key") == key
    assert machine.run("ls", "/usr/lib/entrepot", "/usr/bin/entrepot")[0] != 0, "no code is left"
    installed.install(package(suite))
    installed.start()
    assert installed.status()["facts"] == 1
    machine.must("dpkg", "--purge", "entrepot")
    for place in (STATE, SETTINGS, "/usr/lib/entrepot"):
        assert machine.run("ls", place)[0] != 0, place
    assert machine.must("systemctl", "--failed", "--no-legend") == ""
