"""The durability certificate: what was tried and seen, signed by the region, as JSON and as a page to read. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from runtime.certify.ground import Finding
from runtime.certify.host import Host
from runtime.envelope import Signed
from runtime.errors import Permanent, Refused
from runtime.identity import Identity
from runtime.policy import statements

FORMAT = 1
KIND = "certificate"


class Certificate(Struct, frozen=True, kw_only=True):
    """The signed statement. `verdict`: passed only if every trial was tried and passed."""

    format: int
    region: str
    environment: str
    made_at: str
    seconds: int
    host: Host
    verdict: str
    trials: list[Finding]


def verdict(trials: Sequence[Finding]) -> str:
    """failed, incomplete or passed: what was not tried is never passed."""
    said = {finding.verdict for finding in trials}
    if "failed" in said or not trials:
        return "failed"
    return "incomplete" if "not tried" in said else "passed"


def sign(certificate: Certificate, identity: Identity) -> bytes:
    """JSON of an `envelope.Signed`."""
    return identity.sign(KIND, msgspec.json.encode(certificate).decode()) + b"\n"


def verify(content: bytes, public_key: bytes) -> Certificate:
    """The certificate, if the region of this key (raw Ed25519) signed it as it stands. Raises `Refused`, `Permanent`."""
    try:
        signed = msgspec.json.decode(content, type=Signed)
        certificate = msgspec.json.decode(signed.statement, type=Certificate)
    except msgspec.MsgspecError:
        raise Permanent("this is no durability certificate", hint="name the .json file, not the page") from None
    hint = "it was changed, or made by another region: have a new one made with `entrepot certify`"
    if signed.key_id != statements.key_id(public_key):
        raise Refused(f"the certificate is signed by another key ({signed.key_id})", hint=hint)
    if not statements.is_genuine(KIND, signed, public_key):
        raise Refused("the signature under the certificate is false", hint=hint)
    if certificate.verdict != verdict(certificate.trials):
        raise Refused("the certificate contradicts itself: its verdict is not that of its trials", hint=hint)
    return certificate


def page(certificate: Certificate, key_id: str) -> str:
    """Markdown for people; the JSON beside it is what is signed."""
    host = certificate.host
    lines = [
        f"# Durability certificate: {certificate.verdict}",
        "",
        f"Region **{certificate.region}** ({certificate.environment}), made {certificate.made_at[:19]}Z in {certificate.seconds} s, signed by key `{key_id}`.",
        "",
        "| host | |",
        "|---|---|",
        f"| name | {_cell(host.name)}, {host.processors} processors, {host.machine} |",
        f"| system | {_cell(host.system)} |",
        f"| disk | {_cell(host.device)}, {host.file_system} ({_cell(host.mount_options)}) |",
        f"| versions | entrepot {host.entrepot}, SQLite {host.sqlite}, Python {host.python} |",
        "",
        "| trial | verdict | what was seen |",
        "|---|---|---|",
        *(f"| {t.trial} | **{t.verdict}** | {_cell(t.sentence)} |" for t in certificate.trials),
        "",
        "## Figures",
        "",
    ]
    lines += [f"- {trial.trial}: {_figures(trial)}" for trial in certificate.trials if trial.figures]
    lines += ["", "## What this does not show", ""]
    lines += [f"- {trial.trial}: {trial.shows_not}" for trial in certificate.trials if trial.shows_not]
    lines += ["", "Check it with `entrepot certify --verify FILE.json --public-key signing.pub`.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _figures(trial: Finding) -> str:
    return ", ".join(f"{name} {value}" for name, value in trial.figures.items())
