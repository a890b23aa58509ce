"""What a configuration lets in, or out, that the region's own file does not. Pure.

Headquarters can only tighten: whatever is not known to be stricter counts as looser, and needs a key of the region.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from runtime.access.settings import AccessSettings
from runtime.clearance import Policy, compile_policy
from runtime.clearance.compare import loosened
from runtime.config.assemble import Configuration
from runtime.fleet.outflow import outflows
from runtime.gateway.settings import GatewaySettings, is_loopback, parse_listen
from runtime.vault import SCHEME

_STRICTNESS = {"none": 0, "static": 1, "bearer": 2, "hmac-sha256": 3, "standard-webhooks": 4}
"""Schemes that can be compared: a higher one asks for all that a lower one does. Any other change is the region's to make."""
_TOLERANCE_SECONDS = 300
"""What a source has that says nothing (adapters' `tolerance_seconds`)."""
_CLIENTS = ("none", "accept", "require")
_ENCRYPTED = ("tls://", "wss://")
_DAYS_MAX = 1_000
"""Days on which a dated rule begins or ends that are looked at."""


def loosenings(local: Configuration, new: Configuration, *, today: date) -> list[str]:
    """What `new` allows beyond the local file, as sentences; empty when it allows nothing more."""
    return [
        *(f"residency: {leaf}" for leaf in _residency(local.policy, new.policy, today)),
        *_gateway(local.model.gateway, new.model.gateway),
        *_access(local.model.access, new.model.access),
        *_hub(local.model.hub, new.model.hub),
        *_sources(local.model.sources, new.model.sources),
        *_secrets(local.references, new.references),
        *outflows(local, new),
    ]


def _residency(local: Policy, new: Policy, today: date) -> list[str]:
    """On every day from today on: a rule with a date may loosen tomorrow."""
    if local.digest == new.digest:
        return []
    day: date | None = today
    for _ in range(_DAYS_MAX):
        if day is None:
            return []
        floor, wanted = compile_policy(local, today=day), compile_policy(new, today=day)
        found = loosened(floor, wanted)
        if found:
            return [leaf if day == today else f"{leaf} (from {day})" for leaf in found]
        day = min((d for d in (floor.changes_on, wanted.changes_on) if d is not None), default=None)
    return [f"its rules change on more than {_DAYS_MAX} days"]


def _gateway(local: GatewaySettings, new: GatewaySettings) -> Iterator[str]:
    host = parse_listen(new.listen)[0]
    if host != parse_listen(local.listen)[0] and not is_loopback(new.listen):
        yield f"gateway.listen: {local.listen} → {new.listen} can be reached from elsewhere"
    if not set(new.trusted_proxies) <= set(local.trusted_proxies):
        yield "gateway.trusted_proxies: more proxies are believed"
    if new.trusted_proxies and new.proxy_header != local.proxy_header:
        yield "gateway.proxy_header: another header is believed"
    before, after = local.tls, new.tls
    if before is None:
        return
    if after is None:
        yield "gateway.tls: TLS is dropped"
        return
    if _CLIENTS.index(after.clients) < _CLIENTS.index(before.clients):
        yield f"gateway.tls.clients: {before.clients} → {after.clients}"
    if before.client_ca is not None and after.client_ca not in (None, before.client_ca):
        yield "gateway.tls.client_ca: other authorities are believed"


def _access(local: AccessSettings, new: AccessSettings) -> Iterator[str]:
    for role, scopes in new.roles.items():
        more = sorted(set(scopes) - set(local.roles.get(role, [])))
        if more:
            yield f"access.roles.{role}: may do more ({', '.join(more)})"
    before, after = local.oidc, new.oidc
    if after is None or after == before:
        return
    if before is None or (before.issuer, before.jwks) != (after.issuer, after.jwks):
        yield "access.oidc: another identity provider is believed"
        return
    if not set(after.audience) <= set(before.audience):
        yield "access.oidc.audience: tokens for others are believed"
    if after.clock_skew_seconds > before.clock_skew_seconds:
        yield "access.oidc.clock_skew_seconds: grows"
    if after.scopes_claim not in ("", before.scopes_claim):
        yield "access.oidc.scopes_claim: another claim is believed"


def _hub(local: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if _is_encrypted(local) and not _is_encrypted(new):
        yield "hub: TLS is dropped"
    if local.get("tls_ca", "") != new.get("tls_ca", ""):
        yield "hub.tls_ca: other authorities are believed"


def _is_encrypted(hub: dict[str, Any]) -> bool:
    servers = hub.get("servers", [])
    return bool(hub.get("tls_ca") or hub.get("tls_cert")) or all(str(s).startswith(_ENCRYPTED) for s in servers)


def _sources(local: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, raw in new.items():
        before = local.get(name, {})
        if before == raw:
            continue
        if before:
            yield from (f"sources.{name}: {sentence}" for sentence in _sends(before, raw))
        known = before.get("auth") if before.get("adapter") == raw.get("adapter") else None
        for sentence in _auth(known if isinstance(known, dict) else None, raw.get("auth")):
            yield f"sources.{name}.auth: {sentence}"


def _auth(before: dict[str, Any] | None, after: Any) -> Iterator[str]:
    """`before`: None for a source that the local file does not have."""
    wanted = after if isinstance(after, dict) else {}
    if before is None:
        if "none" in (wanted.get("scheme"), wanted.get("alg")):
            yield "a source that asks nobody who they are (none)"
        return
    if before == wanted:
        return
    ranks = [_STRICTNESS.get(auth.get("scheme", "")) for auth in (before, wanted)]
    if ranks[0] == 0:
        return
    held, asked = set(_list(before, "secrets")), set(_list(wanted, "secrets"))
    if asked - held:
        yield f"accepts another secret ({', '.join(sorted(asked - held))})"
    if held and not asked:
        yield "no secret is asked for any more"
    same = before.get("scheme") == wanted.get("scheme")
    if not same and (ranks[0] is None or ranks[1] is None or ranks[1] < ranks[0]):
        yield f"scheme {before.get('scheme') or 'spelled out'} → {wanted.get('scheme') or 'spelled out'}"
        return
    if _others(wanted) != _others(before) and (same or _others(wanted)):
        yield "it is checked in another way"
    if wanted.get("tolerance_seconds", _TOLERANCE_SECONDS) > before.get("tolerance_seconds", _TOLERANCE_SECONDS):
        yield "tolerance_seconds grows"


def _secrets(local: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """A secret stays with the part that has it: elsewhere it would let other senders in, or be shown to somebody else."""
    homes: dict[str, set[str]] = {}
    for place, reference in local.items():
        homes.setdefault(reference, set()).add(_part(place))
    for place, reference in new.items():
        if _part(place) not in homes.get(reference, {_part(place)}):
            yield f"{place}: uses {reference}, which belongs to {', '.join(sorted(homes[reference]))}"


def _part(place: str) -> str:
    """`sources.wms` of `sources.wms.auth.secrets[0]`, `hub` of `hub.token`."""
    first, *rest = place.split(".")
    return f"{first}.{rest[0]}" if len(rest) > 1 else first


def _sends(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Whoever holds a secret does not take it to another server."""
    if any(_texts(after, SCHEME)):
        for origin in sorted(_origins(after) - _origins(before)):
            yield f"its secret would go to {origin}"


def _origins(raw: dict[str, Any]) -> set[str]:
    return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, _texts(raw, "http"))}


def _texts(value: Any, start: str) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(start):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part, start)


def _list(auth: dict[str, Any], key: str) -> list[str]:
    found = auth.get(key, [])
    return [str(item) for item in found] if isinstance(found, list) else []


def _others(auth: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in auth.items() if key not in {"scheme", "secrets", "tolerance_seconds"}}
