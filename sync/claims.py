"""The claims of an account at the hub: read, changed, and pushed to every server. Needs a login of the system account."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runtime.errors import Permanent, Refused
from sync import jwt
from sync.channel import Channel
from sync.exchange import exchange
from sync.nkey import Key

_OTHER = "are these the keys of another hub?"


async def revoke(channel: Channel, account: str, users: Sequence[str], operator: Key, *, now: int) -> str:
    """No login issued to these users until `now` is good any more, and whoever is in is thrown out. Returns the claims."""
    said = jwt.read(await lookup(channel, account))
    if said.iss != operator.public:
        # A server would store the claims all the same, and then let nobody of the account in.
        raise Refused("this key does not vouch for the hub's accounts: nothing was changed", hint=_OTHER)
    nats = {**said.nats, "revocations": {**(said.nats.get("revocations") or {}), **dict.fromkeys(users, now)}}
    # A server keeps what was issued later; two changes within one second must not be equal.
    fresh = jwt.sign(operator, account, said.name, nats, issued_at=max(now, said.iat + 1))
    await push(channel, fresh)
    return fresh


async def lookup(channel: Channel, account: str) -> str:
    """Raises `Permanent` when the hub does not know the account."""
    headers, data = await exchange(channel, f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", b"")
    if headers.startswith(b"NATS/1.0 503") or not data:
        raise Permanent(f"the hub does not know account {account}", hint=_OTHER)
    return data.decode("ascii", "replace")


async def push(channel: Channel, token: str) -> None:
    """The server that answers has stored it; it tells the others. Raises `Permanent` with its reason."""
    headers, data = await exchange(channel, "$SYS.REQ.CLAIMS.UPDATE", token.encode())
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    if headers.startswith(b"NATS/1.0 503") or (answer.get("data") or {}).get("code") != 200:
        why = (answer.get("error") or {}).get("description") or "no server takes claims"
        raise Permanent(f"the hub refused the new claims: {why}")
