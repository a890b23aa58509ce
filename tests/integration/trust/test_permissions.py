"""Every role before a real hub: each subject is tried, and the server's own refusal is what counts."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable
from pathlib import Path

import anyio.lowlevel
import nats
import pytest
from nats.aio.msg import Msg

from sync import board, permissions, stream
from sync.connection import Connection
from sync.exchange import exchange
from tests.support.madehub import MadeHub
from tests.support.region import until

pytestmark = pytest.mark.anyio
AGENT, HQ, READER, AUDITOR, ENROLLER = "agent", "headquarters", "reader", "auditor", "enroller"
ACCOUNTS = "accounts"
"""Of whoever may revoke; it lives in the system account."""
READS = {HQ, READER, AUDITOR}
API = "$JS.API."
PUBLISH: dict[str, set[str]] = {
    # events and checkpoints
    "ev.eu-de.realtime.stock.snapshot": {AGENT},
    "ev.eu-de.bulk.order.created": {AGENT},
    "ev.fr.realtime.stock.snapshot": set(),
    "ev.eu-de-2.realtime.stock.snapshot": set(),
    "ev.hq.eu-de.order.created": {HQ},
    "cp.eu-de": {AGENT},
    "cp.fr": set(),
    "cp.hq": {HQ},
    # state, configuration, actions, audit, pokes
    "st.eu-de.presence": {AGENT},
    "st.eu-de.login": {AGENT},
    "st.fr.presence": set(),
    "st.hq.presence": {HQ},
    "cf.eu-de.timestamp": {HQ},
    "cf.eu-de.revision.7": {HQ},
    "cf.eu-de.login": {HQ},
    "cf.eu-de.watermark": {HQ, READER},
    "cf.fr.watermark": {HQ, READER},
    "ac.eu-de.pause-1": {HQ},
    "au.change": {HQ},
    "fleet.eu-de.poke": {HQ},
    "fleet.all.poke": {HQ},
    "fleet.eu-de.probe.status": {HQ},
    "fleet.fr.probe.status": {HQ},
    # enrolment
    "enrol.t1.request": {ENROLLER},
    "enrol.t1.token": {HQ},
    "enrol.t1.answer": {HQ},
    "enrol.t1.revoked": {HQ},
    "enrol.t2.request": set(),
    # other people's inboxes
    "_INBOX_fr.x.y": set(),
    "_INBOX_hq.x.y": set(),
    "anything.else": set(),
    # reading streams
    f"{API}STREAM.INFO.EU-DE_REALTIME": {AGENT, *READS},
    f"{API}STREAM.INFO.EU-DE_CHECKPOINTS": {AGENT, *READS},
    f"{API}STREAM.INFO.HQ_EU-DE": {AGENT, *READS},
    f"{API}STREAM.INFO.FR_REALTIME": READS,
    f"{API}STREAM.INFO.HQ_FR": READS,
    f"{API}STREAM.MSG.GET.EU-DE_REALTIME": {AGENT, *READS},
    f"{API}STREAM.MSG.GET.HQ_EU-DE": {AGENT, *READS},
    f"{API}STREAM.MSG.GET.FR_REALTIME": READS,
    f"{API}STREAM.MSG.GET.FLEET_CONFIG": READS,
    f"{API}DIRECT.GET.EU-DE_REALTIME": {AGENT, *READS},
    f"{API}DIRECT.GET.HQ_EU-DE": {AGENT, *READS},
    f"{API}DIRECT.GET.FR_REALTIME": READS,
    f"{API}DIRECT.GET.FLEET_CONFIG": READS,
    f"{API}DIRECT.GET.FLEET_CONFIG.cf.eu-de.timestamp": {AGENT, *READS},
    f"{API}DIRECT.GET.FLEET_CONFIG.cf.fr.timestamp": READS,
    f"{API}DIRECT.GET.FLEET_CONFIG.cf.*.timestamp": READS,
    f"{API}DIRECT.GET.FLEET_ACTIONS.ac.eu-de.>": {AGENT, *READS},
    f"{API}DIRECT.GET.FLEET_ACTIONS.ac.fr.>": READS,
    f"{API}DIRECT.GET.FLEET_STATE.st.eu-de.config": {AGENT, *READS},
    f"{API}DIRECT.GET.FLEET_STATE.st.fr.config": READS,
    f"{API}DIRECT.GET.FLEET_AUDIT": READS,
    f"{API}DIRECT.GET.FLEET_ENROL.enrol.t1.answer": {ENROLLER, *READS},
    f"{API}DIRECT.GET.FLEET_ENROL.enrol.t2.answer": READS,
    f"{API}STREAM.LIST": READS,
    f"{API}STREAM.NAMES": READS,
    # making and consuming
    f"{API}STREAM.CREATE.EU-DE_REALTIME": {HQ},
    f"{API}STREAM.UPDATE.EU-DE_REALTIME": {HQ},
    f"{API}CONSUMER.CREATE.HQ_EU-DE.c.ev.hq.eu-de.>": {HQ},
    f"{API}CONSUMER.CREATE.FR_REALTIME": {HQ},
    f"{API}CONSUMER.MSG.NEXT.FR_REALTIME.c": {HQ},
    # what nobody may
    f"{API}STREAM.DELETE.EU-DE_REALTIME": set(),
    f"{API}STREAM.PURGE.EU-DE_REALTIME": set(),
    f"{API}STREAM.MSG.DELETE.EU-DE_REALTIME": set(),
    f"{API}STREAM.RESTORE.EU-DE_REALTIME": set(),
    f"{API}STREAM.SNAPSHOT.EU-DE_REALTIME": set(),
    f"{API}STREAM.LEADER.STEPDOWN.EU-DE_REALTIME": set(),
    f"{API}META.LEADER.STEPDOWN": set(),
    f"{API}ACCOUNT.PURGE.A": set(),
    "$SYS.REQ.CLAIMS.UPDATE": {ACCOUNTS},
    "$SYS.REQ.ACCOUNT.A.CLAIMS.LOOKUP": {ACCOUNTS},
    "$SYS.REQ.CLAIMS.DELETE": set(),
    "$SYS.REQ.SERVER.X.RELOAD": set(),
    "$SYS.REQ.SERVER.PING": set(),
}
SUBSCRIBE: dict[str, set[str]] = {
    "_INBOX_eu-de.>": {AGENT},
    "_INBOX_hq.>": {HQ},
    "_INBOX_reader_ada.>": {READER},
    "_INBOX_auditor_ada.>": {AUDITOR},
    "_INBOX_enrol_t1.>": {ENROLLER},
    "_INBOX_accounts.>": {ACCOUNTS},
    "_INBOX_fr.>": set(),
    "_INBOX.>": set(),
    "fleet.eu-de.>": {AGENT},
    "fleet.all.>": {AGENT},
    "fleet.fr.>": set(),
    "ev.hq.eu-de.>": {AGENT, *READS},
    "ev.hq.fr.>": READS,
    "ev.eu-de.>": READS,
    "ev.>": READS,
    "cf.eu-de.>": set(),
    "st.>": {HQ},
    "au.>": {HQ},
    "enrol.>": {HQ},
    "enrol.t1.>": {HQ},
    "$JS.ACK.>": set(),
    "$SYS.>": set(),
    ">": set(),
}
NAMES = {AGENT: "eu-de", HQ: "", READER: "ada", AUDITOR: "ada", ENROLLER: "t1", ACCOUNTS: ""}
VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)


async def refused(connection: Connection, complaints: list[str], frames: Iterable[bytes]) -> set[tuple[str, str]]:
    """What the server said no to, by its own words (nats-py writes them small)."""
    complaints.clear()
    await connection.write(b"".join(frames))
    await connection.settle(seconds_max=10)
    said = (VIOLATION.search(text) for text in complaints)
    return {(found[1].lower(), found[2]) for found in said if found}


def test_a_role_is_tried_on_enough_subjects() -> None:
    assert len(PUBLISH) + len(SUBSCRIBE) >= 60
    for role in NAMES:
        assert any(role in roles for roles in PUBLISH.values())


@pytest.mark.parametrize("role", list(NAMES))
async def test_the_hub_lets_a_role_do_exactly_what_stands_in_the_table(tmp_path: Path, role: str) -> None:
    hub = MadeHub(tmp_path, 1, environments=["test"])
    async with hub:
        complaints: list[str] = []
        system = role == ACCOUNTS
        login = hub.files / "operations" / "accounts.creds" if system else hub.login(role, NAMES[role])
        connection = await hub.enter(login, environment="system" if system else "test", complaints=complaints)
        try:
            await connection.settle()
            publishes = [b"PUB %b 0\r\n\r\n" % subject.encode() for subject in PUBLISH]
            subscribes = [b"SUB %b %d\r\n" % (subject.encode(), 900 + at) for at, subject in enumerate(SUBSCRIBE)]
            denied = await refused(connection, complaints, [*publishes, *subscribes])
        finally:
            connection.close()
    wanted = {("publish", s.lower()) for s, roles in PUBLISH.items() if role not in roles}
    wanted |= {("subscription", s.lower()) for s, roles in SUBSCRIBE.items() if role not in roles}
    assert denied == wanted


def test_an_agent_s_login_fits_into_what_every_server_reads_as_one_line() -> None:
    """4,096 bytes, unless a hub is told otherwise (`max_control_line`)."""
    from sync import jwt, nkey

    allowed = permissions.agent("a-region-with-a-long-name", ["realtime", "bulk"])
    claims = permissions.claims(
        "agent", allowed, account=nkey.make("account").public, environment="prod", region="a-region-with-a-long-name"
    )
    token = jwt.sign(nkey.make("account"), nkey.make("user").public, "agent", claims, issued_at=1, expires_at=2)
    assert len(token) < 3_700


@pytest.mark.parametrize(
    ("changed", "lacks", "beyond"),
    [(("realtime",), [], []), (("realtime", "bulk"), ["BULK"], []), ((), [], ["REALTIME"])],
)
def test_a_login_is_compared_with_what_an_agent_needs(
    changed: tuple[str, ...], lacks: list[str], beyond: list[str]
) -> None:
    from sync import jwt, nkey

    claims = permissions.claims(
        "agent", permissions.agent("eu-de", ["realtime"]), account="A", environment="test", region="eu-de"
    )
    said = jwt.read(jwt.sign(nkey.make("account"), "U", "n", claims, issued_at=1))
    missing, more = permissions.differences(said, permissions.agent("eu-de", changed))
    for found, words in ((missing, lacks), (more, beyond)):
        assert bool(found) == bool(words)
        assert all(words[0] in subject for subject in found)


@pytest.mark.parametrize(
    ("name", "may"), [("eu-de", True), ("hq", False), ("all", False), ("EU", False), ("a.b", False)]
)
def test_some_names_are_no_region_s(name: str, may: bool) -> None:
    assert permissions.may_be_a_region(name) is may


async def test_no_body_of_a_request_reaches_beyond_the_subject_that_it_was_sent_to(tmp_path: Path) -> None:
    """A direct get by subject reads that subject, whatever else its body asks for."""
    hub = MadeHub(tmp_path, 1, environments=["test"])
    async with hub:
        steering = await hub.enter(hub.keys() / "hub.creds", region="hq")
        config = {"name": "FLEET_CONFIG", "subjects": ["cf.>"], "storage": "file", "allow_direct": True}
        await steering.ask("STREAM.CREATE.FLEET_CONFIG", config, seconds_max=5)
        await board.post(steering, "cf.fr.timestamp", b"of another region")
        await board.post(steering, "cf.eu-de.timestamp", b"of this region")
        agent = await hub.enter(hub.login(AGENT, "eu-de"))
        try:
            own = f"{API}DIRECT.GET.FLEET_CONFIG.cf.eu-de.timestamp"
            for body in ({"last_by_subj": "cf.fr.timestamp"}, {"seq": 1}, {"multi_last": ["cf.>"], "batch": 9}):
                _, data = await exchange(agent, own, json.dumps(body).encode())
                assert b"another" not in data
            assert (await exchange(agent, own, b""))[1] == b"of this region"
        finally:
            agent.close()
            steering.close()


async def test_an_answer_that_a_stolen_login_sends_into_a_foreign_lane_is_an_answer_and_nothing_else(
    tmp_path: Path,
) -> None:
    """What docs/hub.md owns up to: NATS does not check reply subjects. If it does one day, this fails and the page is mended."""
    hub = MadeHub(tmp_path, 1, environments=["test"])
    async with hub:
        steering = await hub.enter(hub.keys() / "hub.creds", region="hq")
        for region in ("eu-de", "fr"):
            name = f"{region.upper()}_REALTIME"
            config = {"name": name, "subjects": [f"ev.{region}.realtime.>"], "storage": "file"}
            await steering.ask(f"STREAM.CREATE.{name}", config, seconds_max=5)
        agent = await hub.enter(hub.login(AGENT, "eu-de"))
        try:
            request = f"{API}STREAM.INFO.EU-DE_REALTIME ev.fr.realtime.stock.snapshot"
            await agent.write(f"PUB {request} 0\r\n\r\n".encode())
            await agent.settle()

            async def arrived() -> object:
                return (await stream.info(steering, "FR_REALTIME")).state.messages  # type: ignore[union-attr]

            await until(arrived, "the hub has sent its answer there")
            found = await stream.message(steering, "FR_REALTIME", 1)
            assert found is not None
            assert "entrepot-chain" not in found.headers
            assert json.loads(found.data)["type"] == "io.nats.jetstream.api.v1.stream_info_response"
        finally:
            agent.close()
            steering.close()


async def test_an_agent_answers_whoever_asked_it_once_and_nobody_else(tmp_path: Path) -> None:
    """A probe of headquarters, with NATS' own client at the agent's end."""
    hub = MadeHub(tmp_path, 1, environments=["test"])
    async with hub:
        tls = ssl.create_default_context(cafile=str(hub.ca))
        complaints: list[str] = []

        async def complain(error: Exception) -> None:
            await anyio.lowlevel.checkpoint()
            complaints.append(str(error))

        login = str(hub.login(AGENT, "eu-de"))
        agent = await nats.connect(hub.urls[0], user_credentials=login, tls=tls, error_cb=complain)
        steering = await hub.enter(hub.keys() / "hub.creds", region="hq")
        try:

            async def answer(message: Msg) -> None:
                await agent.publish(message.reply, b"once")
                await agent.publish(message.reply, b"twice")
                await agent.publish("_INBOX_hq.somebody.else", b"unasked")

            await agent.subscribe("fleet.eu-de.probe.*", cb=answer)
            await agent.flush()
            _, data = await exchange(steering, "fleet.eu-de.probe.status", b"")
            assert data == b"once"

            async def refused_twice() -> bool:
                await anyio.lowlevel.checkpoint()
                return len(complaints) == 2

            await until(refused_twice, f"the second answer and the unasked one are refused: {complaints}")
            assert all("permissions violation for publish" in said.lower() for said in complaints)
        finally:
            await agent.close()
            steering.close()
