"""What headquarters sees of one region, as far as signatures let it believe it, and what of that is drift. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from runtime.fleet.documents import Presence, Status


class Sight(Struct, frozen=True, kw_only=True):
    """One region. Everything here was signed by its key, or by the release key."""

    region: str
    status: Status | None = None
    presence: Presence | None = None
    offered: int = 0
    """The version that the newest timestamp names; 0: none."""
    offered_revision: str = ""
    """SHA-256 (hex) of that revision's statement."""
    expires_us: int = 0
    """When that timestamp ends."""
    highest: int = 0
    """The largest version that the hub holds or the agent has heard of, offered or not."""
    heard_us: int = 0
    """When the hub stored its newest heartbeat or status; 0: never."""
    veto: str = ""
    """Why its regional IT takes no change."""
    problems: list[str] = []
    """Documents that stand there and are not believed."""

    @property
    def stage(self) -> str:
        """Empty before the first status."""
        return "" if self.status is None else self.status.stage

    @property
    def confirmed(self) -> int:
        """The version in force."""
        return 0 if self.status is None else self.status.confirmed

    @property
    def lag_seconds(self) -> float:
        """Of its slowest lane."""
        lanes = {} if self.presence is None else self.presence.lanes
        return max((_number(lane.get("lag_seconds")) for lane in lanes.values()), default=0.0)

    @property
    def books(self) -> tuple[int, int]:
        """(facts, those that became letters) ever."""
        books = {} if self.presence is None else self.presence.books
        return books.get("accepted", 0), books.get("dead_lettered", 0)

    def silent_seconds(self, now_us: int) -> float | None:
        """Since anything was heard; None: never heard."""
        return max(0.0, (now_us - self.heard_us) / 1_000_000) if self.heard_us else None


def find_drift(sight: Sight, now_us: int) -> list[str]:
    """Why what is in force there is not what headquarters has offered, one sentence each."""
    found: list[str] = []
    status, presence = sight.status, sight.presence
    if status is None:
        return ["it has never said what is in force"] if sight.offered else []
    if status.override_until:
        found.append(f"a local override is in force until {status.override_until}")
    if status.confirmed > sight.offered:
        found.append(f"it has version {status.confirmed}, and the hub offers {sight.offered}: the hub has lost some")
    elif status.confirmed < sight.offered:
        found.append(_behind(sight, status))
    elif status.stage == "rejected":
        found.append(f"it does not believe what the hub offers: {status.reason}")
    if presence is not None and presence.config != status.effective and status.stage == "confirmed":
        found.append("its local files were changed since it confirmed")
    if sight.offered and sight.expires_us <= now_us:
        found.append("the timestamp has ended: it takes no change until `entrepot fleet refresh`")
    return found


def _behind(sight: Sight, status: Status) -> str:
    words = {
        "reverted": f"it has tried version {status.version} and gone back to {status.confirmed}: {status.reason}",
        "rejected": f"it has refused version {status.version}: {status.reason}",
    }
    if status.version == sight.offered and status.stage in words:
        return words[status.stage]
    return f"it has version {status.confirmed}, offered is {sight.offered} ({status.stage})"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
