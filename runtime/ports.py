"""The Protocols that cross folder borders: adapters on one side, the centre on the other.

The kernel implements `Intake`, `Lane` and `Checkpoints`; plug-ins implement the rest and are found
through the entry point groups `entrepot.adapters`, `entrepot.targets` and `entrepot.hub`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

from runtime.envelope import Envelope, Event, Ignored, Message, Receipt, Sealed
from runtime.errors import Refused
from runtime.notices import Follow as Follow
from runtime.notices import Notice as Notice
from runtime.notices import Notices as Notices
from runtime.observatory import Observatory as Observatory
from runtime.observatory import Position as Position
from runtime.observatory import Proven as Proven
from runtime.observatory import Signature as Signature
from runtime.observatory import Survey as Survey
from runtime.targets import Delivered as Delivered
from runtime.targets import Delivery as Delivery
from runtime.targets import Target as Target
from runtime.targets import TargetAdapter as TargetAdapter
from runtime.targets import TargetContext as TargetContext

if TYPE_CHECKING:
    from runtime.downlink import Inbox

# ---------------------------------------------------------------- translation

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
"""Of a file, of a line of NDJSON, and of every source whose rules read none."""


class Translator(Protocol):
    """Turns raw facts of one source into canonical events. Pure: same input, same output."""

    @property
    def version(self) -> str:
        """Names the exact rules used, e.g. `acme-wms 3 (sha256:1f2e…)`; kept with every letter."""
        ...

    @property
    def headers(self) -> Sequence[str]:
        """Names, in lower case, of the headers that the rules read: only these are kept with the fact."""
        ...

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        """The message's own idempotency key, or None. Never raises on foreign data."""
        ...

    def partition_key(self, envelope: Envelope) -> str | None:
        """Best effort for a fact that failed: the key its successors share. None: unknown. Never raises."""
        ...

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """Raises `Untranslatable` with the reason and the position in the input."""
        ...


# ---------------------------------------------------------------- adapters: the foreign side


class Intake(Protocol):
    """The kernel's promise to a source: when `accept` returns, the bytes are committed and flushed."""

    async def accept(self, messages: Sequence[Message], *, cursor: str | None = None) -> list[Receipt]:
        """All or none, in one transaction, one receipt each, in order.

        `cursor`: where the source stands once it has these (text of its own, of any kind); committed with them, so
        whatever ends the process, what `cursor()` says later was taken in.
        Raises `Refused` (same key, other body), `StorageFull`, `StorageFailed`.
        """
        ...

    async def cursor(self) -> str | None:
        """Where the source stands: what `accept` has committed last. None: at its beginning."""
        ...


Purpose = Literal["write", "check", "receipts"]
"""Send a message; try one without accepting it; ask what became of one."""


class Certificate(Struct, frozen=True):
    """What a client has shown at the TLS handshake; the listener has verified it."""

    fingerprint: bytes
    """SHA-256 of the certificate (DER)."""
    subject: str
    """RFC 4514, as in `CN=wms-1,O=Example`."""


class Request(Struct, frozen=True, kw_only=True):
    """An HTTP request before parsing. Ask for headers in lower case: the names are those of the sender."""

    headers: Mapping[str, str]
    """`get` finds a name in any case."""
    body: bytes
    """What a signature is over: of a request without a body, its path and query."""
    remote: str = ""
    """Address of the sender; a proxy's word for it counts only if the proxy is trusted."""
    path: str = ""
    query: str = ""
    purpose: Purpose = "write"
    certificate: Certificate | None = None


class Admission(Struct, frozen=True, kw_only=True):
    """What a source has learned about a request that may pass."""

    message_id: str | None = None
    """That the signature covers: it becomes the idempotency key."""
    caller: str | None = None
    """Who it is, where senders have names of their own; see `SourceContext.admit`."""


def admit_nobody(request: Request) -> str:
    """For a source that knows no callers."""
    raise Refused("There are no callers with names of their own here.")


class SourceContext(Struct, frozen=True, kw_only=True):
    """What the kernel lends to a source while it runs."""

    name: str
    intake: Intake
    secret: Callable[[str], bytes]
    """Resolves `secret://name`; raises `ConfigError` when it is missing."""
    directory: str
    """Relative paths in settings are relative to this folder (where entrepot.toml lies)."""
    log: Callable[..., None]
    """`log(event, **fields)`: structured, redacted, rate-limited."""
    now_us: Callable[[], int]
    in_hand: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """`async with in_hand():` around what must not be left half done when the source is changed or removed."""
    key: Callable[[bytes, str, Mapping[str, str]], str | None] = lambda body, content_type, headers: None
    """The idempotency key that the source's rules find in a message; None: they find none."""
    notices: Notices | None = None
    """Of an adapter that follows thin messages; see `Follow`."""
    clock_is_right: Callable[[], bool] = lambda: True
    """Whether `now_us` can be believed: signed instants cannot be judged otherwise."""
    admit: Callable[[Request], str] = admit_nobody
    """Name of the caller that shows a key, a token or a certificate and may do this here.

    Raises `Refused`, `Forbidden` (known, but may not), `Retryable`.
    """


class Source(Protocol):
    """A configured source: either it answers HTTP (`authenticate`), or it fetches by itself (`run`), or both."""

    def authenticate(self, request: Request) -> Admission | None:
        """Return if the request may pass; None: nothing more is known about it.

        Raises `Refused`, `Forbidden`, or `Retryable` when it cannot be judged now. Constant time, on raw bytes, before
        any parsing.
        """
        ...

    async def run(self) -> None:
        """Fetch until cancelled; return at once if there is nothing to fetch. Raising restarts it with back-off."""
        ...


class Guide(Struct, frozen=True, kw_only=True):
    """How a sender proves who it is, for `entrepot onboard`. Shell words are for sh, with the message in `$FILE`.

    An adapter may have `guide(settings) -> Guide`; without it the page has no request to copy.
    """

    sentences: list[str]
    variable: str = ""
    """Shell variable that must hold the credential; empty: none is needed."""
    shell: list[str] = []
    """Lines that make what `headers` and `query` refer to."""
    headers: list[str] = []
    """Shell words, each one header."""
    query: str = ""
    """Shell word behind the URL, with its question mark."""
    body: str = '@"$FILE"'
    """Shell word that curl sends."""
    sends: bool = True
    """False: only the platform itself holds the key, so nobody else can make a request that passes."""
    asks: bool = True
    """Whether a GET can be signed: over its path and query, where a POST signs its body."""


class Adapter(Protocol):
    """The object behind an `entrepot.adapters` entry point; `Configuration.try_sources` tells of one method more."""

    name: str
    settings: type[Struct]
    """Adapter-specific keys of `[sources.<name>]`; bounds and defaults are part of the type."""
    accepts_http: bool

    def source(self, settings: Any, context: SourceContext) -> Source: ...

    def check(self, settings: Any, *, loopback: bool) -> Sequence[str]:
        """Problems a person should know before the start, as sentences; raises `ConfigError` for fatal ones."""
        ...


# ---------------------------------------------------------------- the hub: the centre's side


class LaneHead(Struct, frozen=True, kw_only=True):
    """Where one lane stands in the journal. Sequences are those of the hub stream; 0 means none yet."""

    epoch: int
    sealed: int
    sealed_chain: bytes
    acked: int
    acked_chain: bytes
    oldest: int
    """First retained sealed row; `sealed + 1` when none is retained. Refill reaches back to here."""
    fence: Fence | None = None


class Fence(Struct, frozen=True, kw_only=True):
    """Sending on a lane has stopped until a person decides."""

    kind: str
    """diverged, stale_self, hub_recreated, horizon, wrong_stream, policy or unreadable."""
    reason: str
    action: str
    """What a person must do, as a sentence with the command."""
    evidence: dict[str, str] = {}
    since_us: int = 0


class Lane(Protocol):
    """The kernel's side of one lane: the uplink pulls from it and reports back. Never sees SQLite."""

    name: str

    async def head(self) -> LaneHead: ...

    async def take(self, after: int, rows_max: int) -> Sequence[Sealed]:
        """Sealed rows `after + 1 …`, clearing and sealing more as needed; empty when there is nothing to send.

        Fewer than `rows_max` say nothing: an implementation also bounds the bytes (the kernel: 4 MiB, or one row).

        Raises `Refused` when a row sealed under an older policy may no longer leave as it is.
        """
        ...

    async def wait(self, after: int) -> None:
        """Return when `take(after, …)` may give rows. May wake for nothing."""
        ...

    async def chain_at(self, seq: int) -> bytes | None:
        """Chain hash of a retained row (or of the acked position); None when it is not retained."""
        ...

    async def acknowledge(self, through: int) -> None:
        """The hub has stored everything up to and including `through`."""
        ...

    async def rewind(self, to: int, reason: str) -> None:
        """The hub lost acknowledged rows after `to`: they are pending again. Records an incident."""
        ...

    async def fence(self, fence: Fence) -> None: ...

    async def unfence(self, kind: str) -> None:
        """Lift a fence of this kind, because what it waited for has been done at the hub."""
        ...


class Checkpoints(Protocol):
    """Signed statements waiting for the hub."""

    async def pending(self) -> Sequence[tuple[int, bytes]]:
        """(number, body) in order, oldest first, a bounded batch."""
        ...

    async def sent(self, number: int) -> None: ...

    async def resume(self, after: int) -> None:
        """The hub has none beyond `after` (it lost some): those are pending again."""
        ...

    async def wait(self) -> None: ...


class HubObserver(Protocol):
    """What the link tells the kernel for status, metrics and alerts. Never blocks."""

    def connected(self, server: str, version: str) -> None: ...
    def disconnected(self, reason: str, hint: str = "") -> None:
        """`hint`: what a person can do about this very reason, if more than about any outage."""
        ...

    def lane(self, name: str, *, hub_last: int, notes: Sequence[str]) -> None:
        """`notes`: weaker hub settings, as sentences (replicated, not synced; …)."""
        ...

    def refused(self, lane: str, reason: str) -> None:
        """The hub does not take the next record of a lane, and why. It is over when `hub_last` moves."""
        ...

    def log(self, event: str, **fields: Any) -> None: ...


TRIAL_ENVIRONMENT = "trial"
"""Streams of this environment belong to `entrepot certify`, and only they can be removed."""


class Scope(Struct, frozen=True, kw_only=True):
    """Who is speaking to the hub."""

    region: str
    environment: str
    directory: str
    """Relative paths in `[hub]` are relative to this folder."""
    secret: Callable[[str], bytes]


class HubRecord(Struct, frozen=True, kw_only=True):
    """One message as the hub stores it."""

    seq: int
    subject: str
    headers: dict[str, str]
    """Names lower case; values as on the wire."""
    data: bytes
    time: str


class StreamReport(Struct, frozen=True, kw_only=True):
    """One stream in `topology show|apply`."""

    stream: str
    lane: str
    exists: bool
    messages: int = 0
    first: int = 0
    last: int = 0
    changed: list[str] = []
    notes: list[str] = []


class Finding(Struct, frozen=True):
    """One row of `entrepot doctor`."""

    subject: str
    level: Literal["ok", "warning", "critical"]
    found: str
    next_step: str = ""


class HubLink(Protocol):
    """A configured connection to the centre."""

    def check(self) -> None:
        """Blocking. Raises `ConfigError` when credentials, keys or certificates cannot be read. Asks nobody."""
        ...

    async def run(
        self, lanes: Sequence[Lane], checkpoints: Checkpoints, observer: HubObserver, inbox: Inbox | None = None
    ) -> None:
        """Connect in the background and ship until cancelled, or until `close`, which first flushes the window."""
        ...

    async def topology(self, lanes: Mapping[str, int], *, apply: bool) -> list[StreamReport]:
        """Compare, and with `apply` create or mend, the region's streams; `lanes` maps a lane to the first
        sequence its stream must be able to take (oldest retained row, or 1).

        Raises `Refused` for a stream that belongs to another region, lane or environment; `Retryable` when away.
        """
        ...

    async def examine(
        self, lanes: Sequence[str], *, refill_hours: int, now_us: int, headquarters: str = ""
    ) -> list[Finding]:
        """Names, certificates, permissions and streams, without storing anything. Never raises, bounded in time.

        `headquarters`: whose lane for this region is read (`[downlink] region`); empty: nobody's.
        """
        ...

    def read(self, lane: str, first: int, last: int) -> AsyncIterator[HubRecord]:
        """Stored messages first … last, from the leader, in order. For `adopt`."""
        ...

    async def last(self, lane: str) -> HubRecord | None:
        """The stream's last message from its leader; None when the stream is empty. `Permanent` when missing."""
        ...

    async def remove(self, lanes: Sequence[str]) -> None:
        """Delete the streams that a trial has made. Raises `Refused` for one that does not say that it is a trial's."""
        ...

    async def close(self) -> None: ...


class LaneVerdict(Struct, frozen=True, kw_only=True):
    """What the stand-alone reader found on one lane."""

    lane: str
    first: int
    last: int
    records: int
    withheld: int
    epochs: list[int]
    chain: str
    problems: list[str] = []


class Verdict(Struct, frozen=True, kw_only=True):
    """Result of `entrepot verify`."""

    region: str
    ok: bool
    lanes: list[LaneVerdict]
    checkpoints: int
    problems: list[str] = []


class Hub(Protocol):
    """The object behind an `entrepot.hub` entry point."""

    settings: type[Struct]

    def check(self, settings: Any, scope: Scope) -> None:
        """Read the files that the settings name, without connecting. Raises `ConfigError` with the key."""
        ...

    def link(self, settings: Any, scope: Scope) -> HubLink: ...

    def observatory(
        self, settings: Any, *, environment: str, directory: str
    ) -> AbstractAsyncContextManager[Observatory]:
        """Raises `Retryable` when the hub is away."""
        ...

    async def verify(
        self,
        settings: Any,
        *,
        region: str,
        public_key: bytes,
        directory: str,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Verdict:
        """Read the hub's streams alone and check contiguity, chain and checkpoints.

        `public_key`: raw Ed25519, 32 bytes. `progress(lane, done, total)`.
        """
        ...
