"""A region and its headquarters, each a machine of its own, and the cable between them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.installed import Installed, until
from tests.support.machine import Machine, join
from tests.support.nats import BINARY

pytestmark = [pytest.mark.packages, pytest.mark.needs("machines")]
HUB = "10.9.0.1"
UNIT = """
[Service]
ExecStart=/usr/local/bin/nats-server --config /etc/nats.conf
[Install]
WantedBy=multi-user.target
"""


def headquarters(machine: Machine) -> None:
    """The central NATS server, as a service."""
    shutil.copy(BINARY.resolve(), machine.root / "usr/local/bin/nats-server")
    machine.write("/etc/nats.conf", f'host: "{HUB}"\nport: 4222\njetstream {{ store_dir: "/var/lib/nats" }}\n')
    machine.write("/etc/systemd/system/nats-server.service", UNIT)
    machine.must("systemctl", "enable", "--now", "nats-server.service")


def settled(region: Installed) -> dict[str, object]:
    now = region.status()
    return now if now["hub_connected"] and now["pending"] == 0 else {}


def test_a_region_works_through_a_cut_link_and_all_arrives_when_it_heals(
    machine: Machine, suite: str, tmp_path: Path
) -> None:
    with Machine(suite, "headquarters") as centre:
        join(centre, machine, (f"{HUB}/30", "10.9.0.2/30"))
        headquarters(centre)
        region = Installed(machine)
        region.configure(hub=f"nats://{HUB}:4222")
        region.start()
        with region.load() as load:
            until(lambda: region.status()["delivered"], lambda: f"the first deliveries; {region.status()}")
            centre.must("ip", "link", "set", "cable", "down")
            until(
                lambda: region.status()["pending"] > 500 and region.status(),
                lambda: f"a backlog behind the cut; {region.status()}",
            )
            centre.must("ip", "link", "set", "cable", "up")
        now = until(lambda: settled(region), lambda: f"everything is delivered; {region.status()}", seconds_max=90)
        assert now["balanced"]
        assert now["delivered"] == now["facts"] == load.said["sent"]
        machine.must("cp", "/var/lib/entrepot/identity/signing.pub", "/srv")
        verified = machine.must(
            "entrepot",
            "verify",
            "--hub",
            f"nats://{HUB}:4222",
            "--region",
            "eu-de",
            "--public-key",
            "/srv/signing.pub",
        )
        assert "eu-de" in verified
        assert load.refused == {}
        region.assert_all_receipts_hold(load, tmp_path)
