"""The reading half of `verify`: finds a region's streams at the hub and feeds them to the pure checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime import record
from runtime.ports import LaneVerdict, Verdict
from sync import stream
from sync.channel import Channel
from sync.proof import digest
from sync.stream import StreamInfo
from sync.verify import CheckpointCheck, LaneCheck

Progress = Callable[[str, int, int], None]
_PROGRESS_EVERY = 1000


async def verify(channel: Channel, region: str, public_key: bytes, progress: Progress) -> Verdict:
    """Everything stored when the reading began. Raises `HubAway`."""
    found = await stream.named(channel, region)
    books = found.pop(record.CHECKPOINTS_LANE, None)
    problems = [] if found else [f"the hub has no stream of region {region}"]
    checkpoints = CheckpointCheck(region, public_key, complete=books is not None and _whole(books))
    if books is None:
        problems.append("the hub has no checkpoints of this region")
    else:
        problems += _removed(books, "checkpoint messages")
        async for stored in stream.read(channel, books.config["name"], books.state.first_seq, books.state.last_seq):
            checkpoints.add(stored)
    lanes = [
        await _lane(channel, region, lane, entry, public_key, checkpoints, progress)
        for lane, entry in sorted(found.items())
    ]
    problems += checkpoints.problems.told()
    problems += [
        f"the hub has no stream of lane {lane}, though checkpoints say it acknowledged records of it"
        for lane in sorted(checkpoints.claims.keys() - found.keys())
    ]
    ok = not problems and not any(lane.problems for lane in lanes)
    return Verdict(region=region, ok=ok, lanes=lanes, checkpoints=checkpoints.count, problems=problems)


async def _lane(
    channel: Channel,
    region: str,
    lane: str,
    entry: StreamInfo,
    key: bytes,
    checkpoints: CheckpointCheck,
    progress: Progress,
) -> LaneVerdict:
    """Read to the end as of now: the checkpoints, read before, cannot speak of more."""
    first = max(1, entry.state.first_seq)
    now = await stream.info(channel, entry.config["name"])
    last = entry.state.last_seq if now is None else now.state.last_seq
    claims = checkpoints.claims.get(lane, {})
    _, chain = claims.get(first - 1, (0, ""))
    count = last - first + 1
    check = LaneCheck(
        region, lane, key, first=first, chains_wanted=frozenset(claims), before=digest(chain), records=count
    )
    for problem in _removed(entry, "records"):
        check.problems.say(problem)
    async for stored in stream.read(channel, entry.config["name"], first, last):
        check.add(stored)
        if stored.seq % _PROGRESS_EVERY == 0:
            progress(lane, stored.seq - first + 1, count)
    if check.origins.suspects:
        async for stored in stream.read(channel, entry.config["name"], first, last):
            check.look_again(stored)
    progress(lane, count, count)
    found = check.verdict(last)
    found.problems.extend(checkpoints.compare(lane, first=first, last=last, chains=check.chains))
    return found


def _whole(entry: StreamInfo) -> bool:
    """The stream still has the first message it was made for."""
    return entry.state.first_seq <= entry.born_at


def _removed(entry: StreamInfo, what: str) -> list[str]:
    """A sentence if messages in front are gone and no limit of the stream explains it."""
    if _whole(entry) or _ages(entry.config):
        return []
    return [f"{what} {entry.born_at} to {entry.state.first_seq - 1} were removed from a stream that keeps everything"]


def _ages(config: dict[str, Any]) -> bool:
    limits = ("max_msgs", "max_bytes", "max_msgs_per_subject")
    return bool(config.get("max_age")) or any(config.get(limit, -1) > 0 for limit in limits)
