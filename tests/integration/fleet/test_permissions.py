"""A region whose user at the hub may use its own subjects and no others is steered as any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleet import Headquarters
from tests.support.nats import NatsServer
from tests.support.region import Region, fact

pytestmark = pytest.mark.anyio
PASSWORD = "a-password-of-the-region"
HEADQUARTERS = {"user": "hq", "password": "a-password-of-headquarters"}
PUBLISH = [
    "ev.eu-de.>",
    "cp.eu-de",
    "$JS.API.STREAM.*.EU-DE_REALTIME",
    "$JS.API.STREAM.*.EU-DE_CHECKPOINTS",
    "$JS.API.STREAM.MSG.GET.EU-DE_REALTIME",
    "$JS.API.STREAM.MSG.GET.EU-DE_CHECKPOINTS",
    "$JS.API.DIRECT.GET.FLEET_CONFIG.cf.eu-de.timestamp",
    "$JS.API.DIRECT.GET.FLEET_CONFIG.cf.eu-de.revision.*",
    "$JS.API.DIRECT.GET.FLEET_CONFIG.cf.eu-de.file.*",
    "st.eu-de.config",
    "st.eu-de.presence",
    "_INBOX_eu-de.>",
]
SUBSCRIBE = ["_INBOX_eu-de.>", "fleet.eu-de.poke", "fleet.all.poke"]


def users() -> str:
    """For the server's configuration."""
    listed = [", ".join(f'"{subject}"' for subject in subjects) for subjects in (PUBLISH, SUBSCRIBE)]
    return (
        f"authorization {{ users = [\n"
        f"{{ user: hq, password: {HEADQUARTERS['password']} }}\n"
        f"{{ user: eu-de, password: {PASSWORD}, permissions: "
        f"{{ publish: [{listed[0]}], subscribe: [{listed[1]}] }} }}\n] }}\n"
    )


async def test_exact_subjects_are_enough_for_poll_poke_files_and_reports(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path / "hub", extra=users()) as hub,
        Headquarters(hub.url, **HEADQUARTERS) as hq,
    ):
        login = 'user = "eu-de"\npassword = "secret://hub"\n[secrets]\ndir = "secrets"'
        region = Region(tmp_path / "region", hub.url, hub_more=login, more=hq.table(poll_seconds=600.0))
        (region.directory / "secrets").mkdir()
        (region.directory / "secrets" / "hub").write_text(PASSWORD)
        async with region:
            mapping = (region.directory / "mapping.toml").read_bytes().replace(b"version = 1", b"version = 2")
            await hq.publish(1, {"gateway": {"burst": 777}}, {"mapping.toml": mapping})
            await hq.staged(region, "confirmed", 1)
            await region.persist([fact(1)])
            await region.settled(facts=1)
            assert (await hq.presence(region)) is not None
            assert "ermissions" not in region.log
