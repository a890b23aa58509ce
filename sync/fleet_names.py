"""Subjects and streams of the fleet: what headquarters and regions write and read beside the events.

An agent may read and write the subjects of its own region and no others, so every subject names the region second.
"""

from __future__ import annotations

HEADQUARTERS = "hq"
"""Region id of headquarters' own agent: its lane `eu-de` is the downlink of the region `eu-de` (stream `HQ_EU-DE`)."""

CONFIG_STREAM = "FLEET_CONFIG"
CONFIG_SUBJECTS = "cf.>"
"""Signed by headquarters; agents read the last message of a subject (direct get)."""
STATE_STREAM = "FLEET_STATE"
STATE_SUBJECTS = "st.>"
"""Signed by agents; headquarters reads the last message of each subject."""
ACTIONS_STREAM = "FLEET_ACTIONS"
ACTIONS_SUBJECTS = "ac.>"
AUDIT_STREAM = "FLEET_AUDIT"
AUDIT_SUBJECTS = "au.>"
ENROL_STREAM = "FLEET_ENROL"
ENROL_SUBJECTS = "enrol.>"


def revisions(region: str) -> str:
    """All revisions of a region, as a wildcard."""
    return f"cf.{region}.revision.*"


def timestamp(region: str) -> str:
    """Where the newest signed timestamp stands."""
    return f"cf.{region}.timestamp"


def revision(region: str, version: int) -> str:
    """Where one signed revision stands."""
    return f"cf.{region}.revision.{version}"


def file(region: str, sha256: str) -> str:
    """Where the content of a file stands, by its digest."""
    return f"cf.{region}.file.{sha256}"


def watermark(region: str) -> str:
    """Up to where headquarters has verified this region."""
    return f"cf.{region}.watermark"


def status(region: str) -> str:
    """Where an agent stands with what it was offered."""
    return f"st.{region}.config"


def login_request(region: str) -> str:
    """Where an agent says which login it has, and until when."""
    return f"st.{region}.login"


def login(region: str) -> str:
    """Where headquarters leaves the next one: a JWT for the key that the agent holds."""
    return f"cf.{region}.login"


def presence(region: str) -> str:
    """The heartbeat."""
    return f"st.{region}.presence"


def result(region: str, action: str) -> str:
    """What came of an action."""
    return f"st.{region}.action.{action}"


def action(region: str, identifier: str) -> str:
    """One signed action."""
    return f"ac.{region}.{identifier}"


def newest_action(region: str) -> str:
    """The newest action once more: it names the one before it."""
    return f"ac.{region}.newest"


def audit(kind: str) -> str:
    """Records of one kind of change: `rollout`, `revision`, `action` …"""
    return f"au.{kind}"


def poke(region: str) -> str:
    """A hint without content: look now. `all` is heard by everybody."""
    return f"fleet.{region}.poke"


def probe(region: str, name: str) -> str:
    """A read-only question, answered at once or not at all (request and reply)."""
    return f"fleet.{region}.probe.{name}"


def enrolment(token_id: str, part: str) -> str:
    """`part` is `token`, `request`, `answer` or `revoked`; one message each."""
    return f"enrol.{token_id}.{part}"
