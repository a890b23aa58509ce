"""The short road that every machine takes: installed, active, restarted and killed under load. Part of `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.debs import package
from tests.support.installed import SERVICE, SETTINGS, STATE, Installed
from tests.support.machine import Machine

pytestmark = pytest.mark.needs("machines")


@pytest.fixture
def suite() -> str:
    """One is enough for the short road; `make test-packages` takes all."""
    return "bookworm"


def test_installing_starts_nothing_and_says_what_comes_next(suite: str) -> None:
    with Machine(suite, "bare") as bare:
        region = Installed(bare)
        assert "Next: entrepot init" in region.install(package(suite))
        assert region.property("ActiveState") == "inactive"
        assert bare.must("entrepot", "--version").startswith("entrepot ")
        assert bare.must("stat", "--format=%U:%G %a", STATE) == "entrepot:entrepot 750"
        assert bare.must("stat", "--format=%U:%G %a", SETTINGS) == "root:entrepot 750"


def test_installed_and_active_it_loses_no_webhook_through_restart_and_kill(
    installed: Installed, tmp_path: Path
) -> None:
    systemctl = ("systemctl", "show", "--value", "--property=StatusText", SERVICE)
    assert installed.machine.must(*systemctl).startswith("accepted 0, pending 0, lag 0 s")
    with installed.load() as load:
        installed.machine.must("systemctl", "restart", SERVICE)
        pid = installed.property("MainPID")
        installed.machine.must("systemctl", "kill", "--signal=KILL", SERVICE)
        installed.restarted(pid)
    installed.assert_all_receipts_hold(load, tmp_path)
