"""Asks a person, one thing at a time: why it is asked, a default, and a wrong answer is explained and asked again."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from runtime.errors import ConfigError
from runtime.setup import answers as ask
from runtime.setup.answers import Answers, HubAnswers, SourceAnswers
from runtime.setup.countries import CODES

ATTEMPTS_MAX = 20
"""A program that answers rubbish for ever is stopped."""
NONE = "none"
"""What a person writes to take back a default."""


class Question(NamedTuple):
    """One thing to ask; `check` gives the value or raises `ConfigError`."""

    words: str
    why: str
    default: str
    check: Callable[[str], str]


class Dialogue:
    """`read(prompt)` is `input`; `say` prints."""

    def __init__(self, read: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._read = read
        self._say = say

    def answers(self) -> Answers:
        """Everything that is asked. Raises `ConfigError` when nobody answers."""
        here = Path.cwd()
        region = self._ask(_region())
        law = self._ask(_jurisdiction(region))
        environment = self._ask(_environment())
        servers = self._ask(_servers()).split(",")
        credentials = self._ask(_credentials(here))
        authority = self._ask(_authority(here)) if any(s.startswith("tls:") for s in servers) else ""
        listen = self._ask(_listen())
        return Answers(
            region=region,
            jurisdiction=law,
            environment="prod" if environment == "prod" else "test",
            listen=listen,
            hub=HubAnswers(servers=servers, credentials=credentials, ca=authority),
            sources=self._sources(),
        )

    def _sources(self) -> dict[str, SourceAnswers]:
        sources: dict[str, SourceAnswers] = {}
        while name := self._ask(_source(bool(sources))):
            if self._ask(_kind(name)) == "file_drop":
                sources[name] = SourceAnswers(adapter="file_drop")
            else:
                scheme = self._ask(_scheme(name))
                sources[name] = SourceAnswers(auth="bearer" if scheme == "bearer" else "hmac-sha256")
        return sources

    def _ask(self, question: Question) -> str:
        self._say(f"\n{question.why}")
        for _ in range(ATTEMPTS_MAX):
            try:
                text = self._read(f"{question.words} [{question.default or NONE}]: ").strip()
            except EOFError:
                raise ConfigError("the answers ended before all was asked", hint="nothing was written") from None
            try:
                return question.check("" if text == NONE else text or question.default)
            except ConfigError as error:
                self._say(f"  {error}" + (f" ({error.hint})" if error.hint else ""))
        raise ConfigError(f"{question.words}: no usable answer in {ATTEMPTS_MAX} attempts", hint="nothing was written")


def _region() -> Question:
    guess = ask.tidied(socket.gethostname().partition(".")[0]) or "eu-de"
    why = "A short name for this region, for ever: it becomes part of subjects, streams and receipts."
    return Question("Region", why, guess, ask.region)


def _jurisdiction(region: str) -> Question:
    last = region.rpartition("-")[2].upper()
    spoken = os.environ.get("LANG", "").partition(".")[0].rpartition("_")[2].upper()
    guess = next((code for code in (last, spoken) if code in CODES), "DE")
    why = "The country whose law holds here: it stands in every event, so that the centre knows which rules go with it."
    return Question("Jurisdiction", why, guess, ask.jurisdiction)


def _environment() -> Question:
    why = "Trial or real work: a stream of the other kind is never written to, so a trial cannot reach production."
    return Question("Environment (test, prod)", why, "test", lambda text: ask.choice(text, ask.ENVIRONMENTS))


def _servers() -> Question:
    why = "The hub's servers, separated by commas. All of a cluster: they are tried in turn."
    return Question("Hub", why, ask.LOCAL_HUB, _checked_servers)


def _checked_servers(text: str) -> str:
    return ",".join(ask.server(part.strip()) for part in text.split(",") if part.strip()) or ask.server("")


def _credentials(here: Path) -> Question:
    why = "The file (.creds) with which this region proves to the hub who it is. It is copied to where only the agent reads it."
    return Question("Credentials file", why, "", lambda text: ask.credentials(text, here))


def _authority(here: Path) -> Question:
    why = "If the hub's certificate comes from a private authority: its PEM file. Without it the system's authorities count."
    return Question("Private CA file", why, "", lambda text: ask.authority(text, here))


def _listen() -> Question:
    why = (
        "Where senders reach this agent. 127.0.0.1 means: this machine only, for example behind a proxy that does TLS."
    )
    return Question("Listen on", why, ask.LISTEN, ask.listen)


def _source(another: bool) -> Question:
    why = (
        "Another system that sends to us."
        if another
        else "A first system that sends to us, for example wms. It can be added later, too."
    )
    return Question("Source", why, "", ask.source_name)


def _kind(name: str) -> Question:
    why = f"How {name} sends: it calls a webhook, or it drops files into a folder."
    return Question("Kind (webhook, file_drop)", why, ask.KINDS[0], lambda text: ask.choice(text, ask.KINDS))


def _scheme(name: str) -> Question:
    why = f"How {name} proves who it is: a signature over each message, or a token in each request. The secret is made here."
    schemes = ("hmac-sha256", "bearer")
    return Question("Authentication (hmac-sha256, bearer)", why, schemes[0], lambda text: ask.choice(text, schemes))
