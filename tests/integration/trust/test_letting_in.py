"""From an empty machine to events at a hub in operator mode: enrolled, renewed, revoked, by the commands that people type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import nats.errors
import pytest

from sync import board, jwt
from sync import fleet_names as names
from sync.access import section
from sync.channel import HubAway
from tests.support.madehub import MadeHub, command, headquarters, run
from tests.support.region import Region, expected, fact, origins, stored, until
from tests.support.simulated_fleet import Fleet

pytestmark = pytest.mark.anyio


class Joining:
    """A region that has its configuration and no login yet."""

    def __init__(self, directory: Path, hub: MadeHub, **options: Any) -> None:
        self.hub = hub
        self.region = Region(directory, hub.urls[0], manage=False, **options)
        self.token = directory / "token"
        self.credentials = self.region.state / "identity" / "hub.creds"

    async def invite(self, *more: str, environment: str = "test", region: str = "eu-de") -> dict[str, Any]:
        """Headquarters makes the token."""
        self.token.unlink(missing_ok=True)
        code, said = await headquarters(
            self.hub, "new", region, "--out", str(self.token), *more, environment=environment
        )
        assert code == 0, said
        assert self.token.stat().st_mode & 0o777 == 0o600
        return dict(said)

    async def ask(self, wait: float = 0.0) -> tuple[int, dict[str, Any]]:
        """Regional IT uses it."""
        found = await command("enrol", str(self.token), "--wait", str(wait), "--config", str(self.region.config))
        return found[0], dict(found[1])

    async def let_in(self) -> dict[str, Any]:
        """All steps."""
        await self.invite()
        code, asked = await self.ask()
        assert (code, asked["enrolled"]) == (1, None), asked
        fleet = ["--fleet", str(self.region.directory.parent)]
        code, said = await headquarters(self.hub, "approve", asked["fingerprint"], *fleet)
        assert code == 0, said
        code, done = await self.ask()
        assert code == 0, done
        return dict(done["enrolled"])

    def configure(self, enrolled: dict[str, Any], *servers: str, more: str = "") -> None:
        """What `enrol` has said belongs into entrepot.toml."""
        listed = ", ".join(json.dumps(server) for server in servers or enrolled["servers"][1:])
        hub = f'credentials = "{enrolled["credentials"]}"\ntls_ca = "{enrolled["tls_ca"]}"\nreplicas = {len(self.hub.urls)}'
        self.region.configure(enrolled["servers"][0], manage=False, hub_more=hub, more=more)
        if listed:
            text = self.region.config.read_text()
            first = json.dumps(enrolled["servers"][0])
            self.region.config.write_text(text.replace(f"servers = [{first}]", f"servers = [{first}, {listed}]"))

    async def at_the_hub(self, server: str = "") -> list[str]:
        """Origins in the stream, as the auditor reads them with another client."""
        reader = self.hub.login("auditor", "ada")
        authority = _trusting(self.hub.ca)

        async def read() -> tuple[list[str]] | None:
            """None while the machines elect a leader of the stream."""
            try:
                found = await stored(
                    server or self.hub.urls[0],
                    user_credentials=str(reader),
                    tls=authority,
                    inbox_prefix="_INBOX_auditor_ada",
                )
            except nats.errors.Error:
                return None
            return (origins(found),)

        (found,) = await until(read, "the auditor reads the stream")
        return list(found)


def _trusting(ca: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(ca))


async def test_a_region_is_enrolled_and_does_its_whole_job_on_three_machines_while_their_leader_dies(
    tmp_path: Path,
) -> None:
    async with MadeHub(tmp_path / "hub") as hub:
        joining = Joining(tmp_path / "region", hub)
        region = joining.region
        enrolled = await joining.let_in()
        assert joining.credentials.stat().st_mode & 0o777 == 0o600
        joining.configure(enrolled)
        code, out, err = await region.run("topology", "show", "--json")
        assert code == 1, err  # replicated, not synced: nobody in a region can see sync_interval
        assert {row["stream"] for row in json.loads(out)} == {"EU-DE_REALTIME", "EU-DE_CHECKPOINTS"}
        async with region:
            assert (await region.send_lines([fact(n) for n in range(200)])) is not None
            await region.persist([fact(n) for n in range(200, 210)])
            await region.settled(facts=210)
            channel = await hub.enter(hub.keys() / "hub.creds", region="hq")
            info = await channel.ask("STREAM.INFO.EU-DE_REALTIME")
            channel.close()
            assert (info["config"]["num_replicas"], info["config"]["allow_batched"]) == (3, True)
            hub.named(info["cluster"]["leader"]).kill()
            await region.persist([fact(n) for n in range(210, 230)])
            status = await region.settled(facts=230)
            assert status["balanced"]
            rows = json.loads((await region.run("doctor", "--json"))[1])["findings"]
            told = [row for row in rows if row["subject"] in {"hub login", "hub permission"}]
            assert {row["level"] for row in told} == {"ok"}, told
        alive = next(server.url for server in hub.servers if server._process is not None)
        whom = ["--hub", alive, "--tls-ca", str(hub.ca)]
        reader, auditor = hub.login("reader", "verify"), hub.login("auditor", "grace")
        keys = ["--keys", str(tmp_path / "enrolled"), "--state", str(tmp_path / "seen"), "--environment", "test"]
        looked = await run("hq", "verify", "--once", *whom, "--credentials", str(reader), *keys)
        assert looked.returncode == 0, looked.stdout + looked.stderr
        assert '"verified"' in looked.stdout
        key = str(tmp_path / "enrolled" / "eu-de.pub")
        code, verdict = await command(
            "verify", "--region", "eu-de", "--public-key", key, *whom, "--credentials", str(auditor)
        )
        assert (code, verdict["ok"]) == (0, True), verdict
        found = await joining.at_the_hub(alive)
        assert len(found) == 230
        assert len(set(found)) == 230


async def test_a_token_works_once_for_its_region_and_its_environment_until_it_ends(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        joining = Joining(tmp_path / "region", hub)
        await joining.invite(region="fr")
        code, said = await joining.ask()
        assert (code, "for region fr, this is eu-de" in said["error"]) == (2, True), said

        await joining.invite(environment="prod")
        code, said = await joining.ask()
        assert (code, "for environment prod, this agent's is test" in said["error"]) == (2, True), said

        await joining.invite("--hours", "0.0001")
        await anyio.sleep(0.5)

        async def ended() -> bool:
            code, said = await joining.ask()
            return code == 2 and "expired" in said["error"]

        await until(ended, "a token ends")

        await joining.let_in()
        other = Joining(tmp_path / "thief", hub)
        other.token.write_text(joining.token.read_text())
        code, said = await other.ask()
        assert (code, "used before: a token works once" in said["error"]) == (2, True), said
        code, said = await joining.ask()
        assert (code, "used before" in said["error"]) == (2, True), said
        code, rows = await headquarters(hub, "list")
        assert [row["state"] for row in rows if row["environment"] == "test"] == ["open", "expired", "approved"], rows
        approved = rows[-1]["fingerprint"]
        code, said = await headquarters(hub, "approve", approved)
        assert (code, "approved already" in said["error"]) == (2, True), said
        code, said = await headquarters(hub, "approve", "0000-" * 5 + "0000")
        assert (code, "no request has the fingerprint" in said["error"]) == (2, True), said


async def test_a_denied_region_is_told_why_and_gets_no_file(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        joining = Joining(tmp_path / "region", hub)
        await joining.invite()
        _, asked = await joining.ask()
        _, again = await joining.ask()
        assert again == asked
        code, _ = await headquarters(hub, "deny", asked["fingerprint"], "--reason", "not in our books")
        assert code == 0
        code, said = await joining.ask()
        assert (code, "not in our books" in said["error"]) == (2, True), said
        assert not joining.credentials.exists()


async def test_a_login_past_half_of_its_life_is_renewed_while_events_flow_and_its_key_stays(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        await hub.make_fleet_streams()
        joining = Joining(tmp_path / "region", hub)
        region = joining.region
        key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        fleet = f'[fleet]\nrelease_keys = ["{key}"]\npresence_seconds = 0.5\npoll_seconds = 0.5'
        joining.configure(await joining.let_in(), more=fleet)
        before = joining.credentials.read_text()
        seed = section(before, "USER NKEY SEED")
        held = jwt.read(section(before, "NATS USER JWT"))
        # The same key and subjects, as if they had been issued five of their seven days ago.
        _age(joining, held)
        async with region:
            await region.persist([fact(n) for n in range(20)])

            async def renewed() -> bool:
                code, rows = await headquarters(hub, "renew")
                assert code == 0, rows
                return bool(rows) and rows[0]["state"] == "renewed"

            await until(renewed, "headquarters has renewed")

            async def taken() -> bool:
                await region.persist([fact(len(region.receipts))])
                return jwt.read(section(joining.credentials.read_text(), "NATS USER JWT")).iat >= held.iat

            await until(taken, f"the agent has taken it up; {region.log[-800:]}")
            after = joining.credentials.read_text()
            assert section(after, "USER NKEY SEED") == seed
            assert joining.credentials.stat().st_mode & 0o777 == 0o600

            async def connected_anew() -> bool:
                await anyio.lowlevel.checkpoint()
                return region.log.count("the hub is connected") >= 2

            await until(connected_anew, "it connects with the new login")
            await region.settled(facts=len(region.receipts))
            assert "the hub is away" not in region.log.partition("the hub is connected")[2]
            _, rows = await headquarters(hub, "renew")
            assert rows[0]["state"] == "not due", rows
            await until(lambda: _hears_from(hub), "its exact subjects are enough for heartbeats, too")
            assert "ermissions violation" not in region.log.lower()
        assert await joining.at_the_hub() == expected(region.receipts)
        assert seed not in region.log


async def _hears_from(hub: MadeHub) -> bool:
    channel = await hub.enter(hub.keys() / "hub.creds", region="hq")
    try:
        return await board.last(channel, names.STATE_STREAM, names.presence("eu-de")) is not None
    finally:
        channel.close()


def _age(joining: Joining, held: jwt.Claims) -> None:
    from sync.nkey import Key

    day = 86_400
    issuer = Key((joining.hub.keys() / "issuer.seed").read_text())
    iat, exp = held.iat - 5 * day, held.iat + 2 * day
    old = jwt.sign(issuer, held.sub, held.name, held.nats, issued_at=iat, expires_at=exp)
    seed = section(joining.credentials.read_text(), "USER NKEY SEED")
    joining.credentials.write_text(jwt.credentials(old, seed))


async def _stays_out(hub: MadeHub, credentials: Path, server: str) -> None:
    """Never let in, and told why once the server is not busy with reading its settings."""

    async def told() -> bool:
        with pytest.raises(HubAway) as caught:
            await hub.enter(credentials, server=server)
        return "Authorization Violation" in str(caught.value)

    await until(told, "a revoked login is turned away")


async def _once_led(hub: MadeHub, verb: str) -> list[dict[str, Any]]:
    """The rows of a command, asked again while the machines that were just told their settings anew elect a leader."""

    async def said() -> tuple[list[dict[str, Any]]] | None:
        code, rows = await headquarters(hub, verb)
        return (rows,) if code == 0 else None

    (rows,) = await until(said, f"headquarters is answered: {verb}", 60)
    return list(rows)


async def test_a_revoked_region_is_cut_says_so_and_stays_out_through_restarts_of_the_hub(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 3) as hub:
        joining = Joining(tmp_path / "region", hub)
        region = joining.region
        joining.configure(await joining.let_in())
        async with region:
            await region.persist([fact(n) for n in range(5)])
            await region.settled(facts=5)
            code, said = await headquarters(hub, "revoke", "eu-de", "--operations", str(hub.files / "operations"))
            assert code == 0, said

            async def told() -> bool:
                alerts = {alert["name"]: alert for alert in (await region.status()).get("alerts", [])}
                return "has revoked this region's login" in str(alerts.get("hub_away", ""))

            await until(told, f"it says that it was revoked; {region.log[-600:]}")
            for server in hub.servers:
                server.stop()
            for server in hub.servers:
                await server.start()
            await until(hub._ready, "the hub is back, with the older claims in its configuration", 60)
            await region.persist([fact(n) for n in range(5, 8)])
            assert not (await region.status())["hub_connected"]
        for server in hub.servers:
            await _stays_out(hub, joining.credentials, server.url)
        await anyio.to_thread.run_sync(hub.make)  # as for a change of plan: it must not let anybody in again
        for server in hub.servers:
            server.reload()
            await _stays_out(hub, joining.credentials, server.url)
        rows = await _once_led(hub, "list")
        assert rows[-1]["state"] == "revoked"
        assert await _once_led(hub, "renew") == []
        assert len(await joining.at_the_hub()) == 5


async def test_a_region_works_over_a_websocket_where_nothing_else_is_open(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        joining = Joining(tmp_path / "region", hub)
        region = joining.region
        await joining.invite("--websocket")
        _, asked = await joining.ask()
        await headquarters(hub, "approve", asked["fingerprint"])
        _, done = await joining.ask()
        assert done["enrolled"]["servers"] == hub.websockets
        joining.configure(done["enrolled"])
        async with region:
            await region.send_lines([fact(n) for n in range(3_000)])
            await region.settled(facts=3_000)
            await hub.servers[0].restart()
            await region.persist([fact(n) for n in range(3_000, 3_010)])
            status = await region.settled(facts=3_010)
            assert status["balanced"]
            rows = json.loads((await region.run("doctor", "--json"))[1])["findings"]
            port = hub.websockets[0].rpartition(":")[2]
            assert any(
                row["subject"].startswith("TLS") and port in row["subject"] and row["level"] == "ok" for row in rows
            ), rows
        assert len(await joining.at_the_hub()) == 3_010


async def test_a_region_answers_signed_with_no_subject_beyond_those_of_its_role(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        fleet = await Fleet.made(tmp_path / "fleet", hub.urls[0], ["eu-de"])
        joining = Joining(tmp_path / "region", hub)
        enrolled = await joining.let_in()
        joining.configure(enrolled, more=f'[fleet]\nrelease_keys = ["{fleet.public_key}"]\n')
        login = f'credentials = "{hub.keys() / "hub.creds"}"\ntls_ca = "{hub.ca}"\nreplicas = 1'
        async with joining.region as region:
            fleet.agents["eu-de"].public_key = (await anyio.Path(region.public_key).read_text()).strip()
            fleet.configure(hub=login)
            code, out, err = await fleet.run("topology", "--apply")
            assert code == 0, out + err

            async def answers() -> bool:
                return (await fleet.run("diagnose", "eu-de", "versions"))[0] == 0

            await until(answers, "the agent answers, and its signature is right")
            code, planned = await fleet.json("plan", "--rehearse")
            assert planned[0]["rehearsal"]["state"] == "ready", planned
            assert "ermissions" not in region.log


async def test_an_environment_s_login_sees_nothing_of_the_other_and_a_mismatch_is_named(tmp_path: Path) -> None:
    async with MadeHub(tmp_path / "hub", 1) as hub:
        prod = await hub.enter(hub.keys("prod") / "hub.creds", region="hq", environment="prod")
        test = await hub.enter(hub.keys("test") / "hub.creds", region="hq", environment="test")
        try:
            wanted = {"name": "FR_REALTIME", "subjects": ["ev.fr.realtime.>"], "storage": "file"}
            await prod.ask("STREAM.CREATE.FR_REALTIME", wanted)
            assert (await prod.ask("STREAM.NAMES", {}))["streams"] == ["FR_REALTIME"]
            assert not (await test.ask("STREAM.NAMES", {})).get("streams")
        finally:
            prod.close()
            test.close()
        login = hub.login("agent", "eu-de", environment="prod")
        region = Region(
            tmp_path / "region", hub.urls[0], manage=False, hub_more=f'credentials = "{login}"\ntls_ca = "{hub.ca}"'
        )
        code, _, err = await region.run("check")
        assert (code, "credentials are for environment prod, this agent's is test" in err) == (2, True), err


async def test_claims_are_not_pushed_with_the_key_of_another_hub(tmp_path: Path) -> None:
    """The server would store them, and then let nobody of the account in."""
    async with MadeHub(tmp_path / "hub", 1) as hub:
        strange = MadeHub(tmp_path / "strange", 1)
        await anyio.to_thread.run_sync(strange.make)
        seed = strange.files / "operations" / "operator-signing.seed"
        (hub.files / "operations" / "operator-signing.seed").write_text(seed.read_text())
        joining = Joining(tmp_path / "region", hub)
        await joining.let_in()
        code, said = await headquarters(hub, "revoke", "eu-de", "--operations", str(hub.files / "operations"))
        assert (code, "does not vouch for the hub's accounts" in said["error"]) == (2, True), said
        _, rows = await headquarters(hub, "list")
        assert rows[-1]["state"] == "approved"
        (await hub.enter(joining.credentials)).close()
