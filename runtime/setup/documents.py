"""The files of a first run, as text: commented, deny by default, and ready to be checked. Pure."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

import msgspec

from runtime.setup.answers import Answers, SourceAnswers

UNANSWERED = "# entrepot: not set up yet."
"""First line of the file that a package ships; only a file that begins so is replaced."""
MARK = "# entrepot init, answers sha256:"
CREDENTIALS = "hub.creds"
AUTHORITY = "hub-ca.pem"
POLICY = "policy.toml"
MAPPINGS = "mappings"
SECRETS = "secrets"

TEMPLATE = f"""{UNANSWERED} `sudo entrepot init` asks what is needed and writes this file, a policy and the keys.
# By hand: every key is explained in entrepot.toml(5); `entrepot check` says what does not fit. Delete the first line then.
# Until then the agent does not start: nothing that follows is set.
"""


class Places(NamedTuple):
    """Where things go, as the configuration names them."""

    data_dir: str
    drops: str
    """Prefix of the folders for dropped files."""


def fingerprint(answers: Answers) -> str:
    """Names these answers: the same ones change nothing."""
    return sha256(msgspec.json.encode(answers, order="deterministic")).hexdigest()


def written_from(text: str) -> str | None:
    """The fingerprint of the answers that a configuration was written from; None: `init` did not write it."""
    lines = [line for line in text.splitlines()[:3] if line.startswith(MARK)]
    return lines[0].removeprefix(MARK).strip() if lines else None


def quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(setting: str, comment: str) -> str:
    return f"{setting:<31} # {comment}"


def configuration(answers: Answers, places: Places) -> str:
    """entrepot.toml."""
    return "\n".join(
        [
            f"# The agent of region {answers.region}. Every key: entrepot.toml(5). After a change: `entrepot check`.",
            f"{MARK}{fingerprint(answers)}",
            "",
            _line(f"region = {quoted(answers.region)}", "becomes part of subjects and stream names: never change it"),
            _line(f"jurisdiction = {quoted(answers.jurisdiction)}", "whose law holds here (ISO 3166)"),
            _line(f"environment = {quoted(answers.environment)}", "a hub stream of the other kind is never written to"),
            _line(f"data_dir = {quoted(places.data_dir)}", "journal, signing keys, lock and admin socket"),
            "",
            *_hub(answers),
            "[gateway]",
            _line(f"listen = {quoted(answers.listen)}", "POST /in/<source>, GET /live /ready /metrics"),
            "",
            "[secrets]",
            _line(
                f"dir = {quoted(SECRETS)}", "one file a secret, named here as secret://name; only the agent reads it"
            ),
            "",
            "[residency]",
            _line(f"policy = {quoted(POLICY)}", "what may leave the region; without a rule nothing does"),
            "",
            _line("[lanes.realtime]", "an ordered path to the hub with its own stream"),
            "",
            *(line for name, source in sorted(answers.sources.items()) for line in _source(name, source, places)),
            *([] if answers.sources else _no_source()),
        ]
    )


def _hub(answers: Answers) -> list[str]:
    hub = answers.hub
    replicas = hub.replicas or (3 if answers.environment == "prod" else 1)
    lines = [
        "[hub]",
        _line(f"servers = [{', '.join(map(quoted, hub.servers))}]", "every server of the cluster; tried in turn"),
        _line(f"replicas = {replicas}", "copies of each stream when `entrepot topology apply` makes it"),
    ]
    if hub.credentials:
        lines.append(_line(f"credentials = {quoted(f'secret://{CREDENTIALS}')}", "who this region is to the hub"))
    if hub.ca:
        lines.append(_line(f"tls_ca = {quoted(AUTHORITY)}", "the private authority of the hub's certificate"))
    return [*lines, ""]


def _source(name: str, source: SourceAnswers, places: Places) -> list[str]:
    mapping = [
        "# How its messages become events. Until that is written they are kept, and wait as letters.",
        f"mapping = {quoted(f'{MAPPINGS}/{name}.toml')}",
    ]
    if source.adapter == "file_drop":
        path = quoted(source.path or f"{places.drops}/{name}")
        own = [
            _line('adapter = "file_drop"', "takes complete files, archives them in done/ or failed/"),
            f"path = {path}",
        ]
    else:
        auth = f"auth = {{ scheme = {quoted(source.auth)}, secrets = [{quoted(f'secret://{name}')}] }}"
        own = ['adapter = "webhook"', f"# The sender needs what stands in {SECRETS}/{name}.", auth]
    return [_line(f"[sources.{name}]", "a system that sends to us"), *own, *mapping, ""]


def _no_source() -> list[str]:
    return [
        _line("# [sources.wms]", "a first source, POST /in/wms; docs/mappings.md says more"),
        '# adapter = "webhook"',
        '# mapping = "mappings/wms.toml"',
        '# auth = { scheme = "hmac-sha256", secrets = ["secret://wms"] }',
        "",
    ]


def socket(answers: Answers) -> str:
    """What is to be changed about the socket's unit."""
    return f"""# Written by entrepot init. The same address as gateway.listen in entrepot.toml.
[Socket]
ListenStream=
ListenStream={answers.listen}
"""


def policy(answers: Answers) -> str:
    """policy.toml: nothing leaves."""
    return f"""# Residency floor of region {answers.region}: what may leave for the hub. Not legal advice.
#
# Nothing leaves that no rule allows: denial is the default, field by field. An event without a released field
# leaves as a stub, so that the hub's count is complete. Where several rules speak about a field, the strictest
# counts (allow < mask < drop). `entrepot schema` shows the class of every field (x-residency-class).

policy = {quoted(f"{answers.region}-floor")}
version = 1

# To release trade data, take the signs away, after somebody responsible has agreed:
#
# [[rules]]
# id = "trade-data"
# when = {{ class = ["public", "business"], destination = "hub" }}
# action = "allow"
# basis = "where that is written down"
"""


def mapping(name: str, source: SourceAnswers) -> str:
    """A mapping that translates nothing yet: every message is kept, and waits as a letter."""
    kind = "csv" if source.adapter == "file_drop" else "json"
    return f"""# How messages of {name} become events. Until this is written every message is kept and waits as a letter;
# then `entrepot letters retry` translates them. Try it with `entrepot map test FILE SAMPLE`; see docs/mappings.md.
mapping = {quoted(name)}
version = 1                     # raise it with each change
format = "{kind}"
zone = "UTC"                    # of times that come without an offset

[[outputs]]
type = "stock.snapshot"         # `entrepot schema` lists types and their fields
when = "false"                  # which messages: for example kind == 'STOCK'
[outputs.fields]
sku = "sku"                     # field of the event = path in the message
on_hand = "quantity"
occurred_at = "at"
"""
