"""One page for whoever connects a sender: where to send, how to prove oneself, requests to copy, what answers mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from runtime.config.assemble import Configuration, ConfiguredSource
from runtime.ports import Guide

_SAMPLE = '[ -e "$FILE" ] || printf \'%s\' \'{"hello": "entrepot"}\' > "$FILE"'
ANSWERS = (
    (202, "stored, committed and flushed; the body is your receipt", "no"),
    (400, "the request or the message is broken; the answer says where", "no, mend it"),
    (401, "the credential or signature is missing or wrong", "no, mend it"),
    (403, "you are known, but may not do this here", "no, ask the operator"),
    (404, "no such address, or no such receipt of yours", "no"),
    (408, "the request came too slowly", "yes"),
    (409, "this idempotency key was used for another body", "no, a new message takes a new key"),
    (413, "larger than the limit", "no, split it"),
    (415, "another content type or encoding is expected", "no, mend it"),
    (422, "the message does not fit the schema of this source; the answer says where", "no, mend it"),
    (429, "faster than agreed", "yes, after `Retry-After` seconds"),
    (431, "the headers are too large", "no, send fewer"),
    (503, "not available now", "yes, after `Retry-After` seconds"),
    (507, "no room on the disk", "yes, after `Retry-After` seconds"),
)


class Command(Struct, frozen=True, kw_only=True):
    """Lines for sh. `needs`: the variable that must hold the credential first."""

    title: str
    script: str
    needs: str = ""


class Page(Struct, frozen=True, kw_only=True):
    """Everything a partner needs to know about one source."""

    source: str
    region: str
    url: str
    check_url: str
    receipts_url: str
    prove: list[str]
    commands: list[Command]
    keys: list[str]
    retries: list[str]
    limits: list[str]
    answers: list[tuple[int, str, str]]


def page(configuration: Configuration, source: ConfiguredSource, base_url: str, guide: Guide | None) -> Page:
    """The page of one source that answers HTTP."""
    name = source.name
    urls = {area: f"{base_url}/{area}/{name}" for area in ("in", "check", "receipts")}
    return Page(
        source=name,
        region=configuration.model.region,
        url=urls["in"],
        check_url=urls["check"],
        receipts_url=f"{urls['receipts']}/KEY",
        prove=guide.sentences if guide is not None else ["Ask the operator how this source knows its senders."],
        commands=[] if guide is None or not guide.sends else _commands(guide, urls, f"/receipts/{name}"),
        keys=_keys(source, configuration.model.journal.key_days),
        retries=[
            "Repeat a request when no answer came, or an answer whose row below says so; any other answer is final.",
            "Wait as `Retry-After` says; without it 1 s, then twice as long each time up to 5 minutes, with some chance in it.",
            "A repetition carries the same body and the same key: it is answered with the first receipt.",
            f"Go on for as long as you can: a key is known for {configuration.model.journal.key_days} days.",
        ],
        limits=_limits(source),
        answers=[(source.shared.answer_status, *ANSWERS[0][1:]), *ANSWERS[1:]],
    )


def _commands(guide: Guide, urls: dict[str, str], path: str) -> list[Command]:
    found = [
        Command(title=title, script=_post(guide, url, key), needs=guide.variable)
        for title, url, key in (
            ("Try a message without sending it", urls["check"], False),
            ("Send it", urls["in"], True),
        )
    ]
    if guide.asks:
        found.append(
            Command(
                title="Ask what became of the message with this key",
                script=_get(guide, urls["receipts"], path),
                needs=guide.variable,
            )
        )
    return found


def _post(guide: Guide, url: str, key: bool) -> str:
    headers = ["'Content-Type: application/json'", *guide.headers]
    headers += ['"Idempotency-Key: $ID"'] if key and not any("$ID" in header for header in guide.headers) else []
    identify = ['ID=${ID:-"test-$(date +%s)"}'] if any("$ID" in header for header in headers) else []
    words = " ".join(f"-H {header}" for header in headers)
    lines = ["FILE=${FILE:-message.json}", _SAMPLE, *identify, *guide.shell]
    return "\n".join([*lines, f"curl -sS -i '{url}'{guide.query} {words} --data-binary {guide.body}"])


def _get(guide: Guide, url: str, path: str) -> str:
    """A GET has no body: what is signed in its place is its path and query, as it stands in the request."""
    lines = ["KEY_OF_MESSAGE=${KEY_OF_MESSAGE:-$ID}"]
    if guide.shell:
        lines += ["FILE=$(mktemp)", f"printf '%s' '{path}/'\"$KEY_OF_MESSAGE\" > \"$FILE\"", *guide.shell]
    words = "".join(f" -H {header}" for header in guide.headers)
    return "\n".join([*lines, f"curl -sS -i '{url}/'\"$KEY_OF_MESSAGE\"{guide.query}{words}"])


def _keys(source: ConfiguredSource, days: int) -> list[str]:
    found = [
        f"Give each message a key of its own in `Idempotency-Key` (at most 255 characters): the same key gets the same receipt for {days} days."
    ]
    if source.rules.translator.headers:
        read = ", ".join(f"`{name}`" for name in source.rules.translator.headers)
        found.append(f"These headers are part of the message: {read}. Add them to the requests above.")
    if source.shared.dedupe == "body":
        found.append("Without the header the exact body is the key.")
    elif source.keyed:
        found.append("Without the header a field of the message is the key, where the rules of this source name one.")
    else:
        found.append("Without the header a repetition counts as a second message.")
    return found


def _limits(source: ConfiguredSource) -> list[str]:
    limits = source.limits
    found = [
        f"One message: {limits.body_bytes_max:,} bytes, nested {limits.depth_max} levels deep at most.",
        (
            f"Many messages at once: `Content-Type: application/x-ndjson`, {limits.ndjson_lines_max:,} lines and"
            f" {limits.ndjson_body_bytes_max:,} bytes at most; all are accepted or none."
        ),
        (
            f"{limits.rate_per_second:,.0f} requests a second, {limits.burst:,} at once, {limits.in_flight_max:,} under way;"
            " a caller's own limits may be lower: `RateLimit-Policy` and `RateLimit` tell them."
        ),
        "Compressed bodies (gzip, deflate) are taken." if limits.compressed else "Bodies are not compressed.",
    ]
    if limits.content_types:
        found.append(f"Only {', '.join(limits.content_types)}.")
    if limits.json_object:
        found.append("Only JSON objects.")
    return found


def markdown(said: Page) -> str:
    """The page as a person reads it."""
    parts = [
        f"# Connecting to `{said.source}` (region {said.region})",
        (
            f"| what | where |\n|---|---|\n| send | `POST {said.url}` |\n| try | `POST {said.check_url}` |\n"
            f"| ask | `GET {said.receipts_url}` |"
        ),
        _section("How to prove who you are", said.prove),
    ]
    for command in said.commands:
        first = [f"{command.needs}='…'  # yours; keep it out of the shell's history"] if command.needs else []
        parts.append(f"## {command.title}\n\n```sh\n" + "\n".join([*first, command.script]) + "\n```")
    parts += [
        _section("The message and its key", said.keys),
        _section("Repeating", said.retries),
        _section("Limits", said.limits),
    ]
    rows = "\n".join(f"| {status} | {meaning} | {again} |" for status, meaning, again in said.answers)
    parts.append(f"## Answers\n\n| status | means | repeat? |\n|---|---|---|\n{rows}")
    parts.append(
        "Each error is `application/problem+json` (RFC 9457); quote its `correlation_id` when you ask the operator."
    )
    return "\n\n".join(parts) + "\n"


def _section(title: str, sentences: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)
