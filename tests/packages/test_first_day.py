"""The short road that every machine takes: installed, active, restarted and killed under load. Part of `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import SERVICE, Installed


@pytest.fixture
def suite() -> str:
    """One is enough for the short road; `make test-packages` takes all."""
    return "bookworm"


def test_installed_and_active_it_loses_no_webhook_through_restart_and_kill(
    installed: Installed, tmp_path: Path
) -> None:
    systemctl = ("systemctl", "show", "--value", "--property=StatusText", SERVICE)
    assert installed.machine.must(*systemctl).startswith("accepted 0, pending 0, lag 0 s")
    with installed.load(4) as load:
        installed.machine.must("systemctl", "restart", SERVICE)
        pid = installed.property("MainPID")
        installed.machine.must("systemctl", "kill", "--signal=KILL", SERVICE)
        installed.restarted(pid)
    installed.assert_all_receipts_hold(load, tmp_path)
