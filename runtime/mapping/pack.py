"""A mapping pack: all that one platform sends, told apart by type or shape and given to ordinary mappings.

Pure data: `load_pack` reads pack.toml and the mappings beside it and gives a `runtime.ports.Translator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Untranslatable
from runtime.mapping.compiled import CompiledMapping, load
from runtime.mapping.decode import Form, decode
from runtime.mapping.generate import condition
from runtime.mapping.keys import key_reader, walk
from runtime.mapping.manifest import Manifest, PackMessage, PackRules, read_manifest
from runtime.mapping.paths import HEADER, Segment, dotted, pointer
from runtime.mapping.tables import REGION, Read
from runtime.mapping.xmltree import XmlForm, lists_in
from runtime.ports import NO_HEADERS

FILE = "pack.toml"
LIST_MAX = 1_000
"""Messages in one list: their outputs are numbered by `LIST_STEP`, and the numbers stay below 2^31."""
LIST_STEP = 2_000_000
"""Outputs of one mapping (200) × elements of one output (10,000)."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Found(Struct, frozen=True):
    """One message of the platform inside a fact."""

    message: PackMessage
    content: Any
    how: str
    """What it was known by: type or shape."""
    position: str = ""
    """JSON pointer of the content within the fact."""
    step: int = 0
    """Added to the number of each output."""


def load_pack(
    read_text: Read, file: str, options: Mapping[str, str] | None = None, read_region: Read | None = None
) -> CompiledPack:
    """Compile a pack. `read_text(name)` gives the text of a file of its folder; `file` names pack.toml in messages.
    `read_region(name)`: of a table of the region that an option names.

    Raises `ConfigError`: one sentence with the file, the key path, what is wrong and the nearest choice.
    """
    text = read_text(FILE)
    rules = read_manifest(text, file, options or {})
    folder = file.removesuffix(FILE)
    mappings: dict[str, CompiledMapping] = {}

    def read_table(name: str) -> str:
        if not name.startswith(REGION):
            return read_text(name)
        if read_region is None:
            raise LookupError(name)
        return read_region(name.removeprefix(REGION))

    for at, message in enumerate(rules.manifest.messages):
        name = message.mapping
        if name and name not in mappings:
            try:
                mappings[name] = load(read_text(name), folder + name, read_table, rules.frame(name))
            except OSError as error:
                rules.spot.child("messages").item(at).child("mapping").fail(
                    f"cannot read {name} ({type(error).__name__})"
                )
    digest = sha256(text.encode() + msgspec.json.encode(rules.options, order="sorted"))
    for name in sorted(mappings):
        digest.update(f"\0{name}\0{mappings[name].sha256}".encode())
    return CompiledPack(rules, mappings, digest.hexdigest())


class CompiledPack:
    """Implements `runtime.ports.Translator`. Immutable; same envelope, same events."""

    def __init__(self, rules: PackRules, mappings: dict[str, CompiledMapping], sha256_hex: str) -> None:
        self._rules = rules
        self.form = _form(rules, mappings.values())
        """How bytes become the values that the rules read."""
        self._key = key_reader(rules.key, self.form) if rules.key else None
        self._messages = {message.name: message for message in rules.manifest.messages}
        self._shapes = _shapes(rules)
        self._wrappers = frozenset(str(path.segments[0]) for path in rules.unwrap if path.segments)
        """The first key of each wrapper: a message that has none of them has no wrapper."""
        self.mappings = mappings
        self.headers = rules.headers
        self.has_key = bool(rules.key)
        self.sha256 = sha256_hex
        """Over pack.toml, the region's options, the mappings and their tables."""

    @property
    def manifest(self) -> Manifest:
        """What pack.toml says."""
        return self._rules.manifest

    @property
    def version(self) -> str:
        """See `runtime.ports.Translator`."""
        return f"{self.manifest.pack} {self.manifest.version} ({self.sha256[:8]})"

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        """See `runtime.ports.Translator`."""
        return self._key(body, content_type, headers) if self._key is not None else None

    def types_of(self, message: PackMessage) -> tuple[str, ...]:
        """The canonical types that a message can become; none for one that is ignored."""
        return self.mappings[message.mapping].types_of(message.name) if message.mapping else ()

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """Raises `Untranslatable` with the position."""
        found = self.find(decode(envelope.body, envelope.content_type, self.form), envelope.headers)
        if len(found) == 1 and not found[0].step:
            return self.run(found[0], envelope.received_us, envelope.headers)
        outputs: list[Event | Ignored] = []
        for one in found:
            results = self.run(one, envelope.received_us, envelope.headers)
            outputs += [msgspec.structs.replace(result, output=one.step + result.output) for result in results]
        return outputs or [Ignored(reason="nothing to tell: the list is empty")]

    def run(self, found: Found, received_us: int, headers: Mapping[str, str]) -> list[Event | Ignored]:
        """Translate one message that was found. Raises `Untranslatable`; positions are those of the whole fact."""
        message = found.message
        if message.letter:
            raise Untranslatable(f"{message.name}: {message.letter}", position=found.position)
        if message.ignore:
            return [Ignored(reason=message.ignore)]
        try:
            return self.mappings[message.mapping].run(found.content, received_us, headers, message.name)
        except Untranslatable as error:
            if not found.position or error.position.startswith(HEADER):
                raise
            raise Untranslatable(str(error), position=found.position + error.position, hint=error.hint) from None

    def partition_key(self, envelope: Envelope) -> str | None:
        """The key that a message's events would have; None for lists and for what is not known."""
        try:
            found = self.find(decode(envelope.body, envelope.content_type, self.form), envelope.headers)
        except Untranslatable:
            return None
        if len(found) != 1 or not found[0].message.mapping:
            return None
        message = found[0].message
        inner = msgspec.structs.replace(envelope, body=_encode(found[0].content), content_type="application/json")
        return self.mappings[message.mapping].partition_key(inner, message.name)

    # ------------------------------------------------------------ which message is it?

    def find(self, fact: Any, headers: Mapping[str, str]) -> list[Found]:
        """The messages in a fact: itself, or what a wrapper of the platform holds. Raises `Untranslatable`."""
        wrapped = self._wrapped(fact)
        if wrapped is None or (wrapped[0] and len(fact) > 1):
            known = self._known(fact, headers)
            if known is not None:
                return [Found(known[0], fact, known[1])]
        if wrapped is None:
            raise self._strange(fact, headers, "")
        place, content = wrapped
        if not isinstance(content, list):
            return [self._inside(content, headers, pointer(place), 0)]
        found: list[Found] = []
        for position, part in self._parts(content, place, headers):
            if len(found) >= LIST_MAX:
                raise Untranslatable(f"the list has more than {LIST_MAX} messages", position=pointer(place))
            found.append(self._inside(part, headers, pointer(position), (len(found) + 1) * LIST_STEP))
        return found

    def _parts(
        self, content: list[Any], place: tuple[Segment, ...], headers: Mapping[str, str]
    ) -> Iterator[tuple[tuple[Segment, ...], Any]]:
        """The messages of a list: what is none by itself can have a wrapper of its own."""
        for at, part in enumerate(content):
            inner = self._wrapped(part) if self._known(part, headers) is None else None
            if inner is None:
                yield (*place, at), part
            elif isinstance(inner[1], list):
                for index, one in enumerate(inner[1]):
                    yield (*place, at, *inner[0], index), one
            else:
                yield (*place, at, *inner[0]), inner[1]

    def _wrapped(self, fact: Any) -> tuple[tuple[str, ...], Any] | None:
        """Where the messages lie, and what lies there; None for a message without a wrapper."""
        if isinstance(fact, list):
            return (), fact
        if isinstance(fact, dict) and not self._wrappers.isdisjoint(fact):
            for path in self._rules.unwrap:
                content = walk(fact, path)
                if isinstance(content, dict | list):
                    return tuple(map(str, path.segments)), content
        return None

    def _inside(self, content: Any, headers: Mapping[str, str], position: str, step: int) -> Found:
        known = self._known(content, headers)
        if known is None:
            raise self._strange(content, headers, position)
        return Found(known[0], content, known[1], position, step)

    def _known(self, content: Any, headers: Mapping[str, str]) -> tuple[PackMessage, str] | None:
        for path in self._rules.type:
            said = headers.get(path.header) if path.header else walk(content, path)
            if isinstance(said, str) and said:
                name = self._rules.names.get(said.casefold())
                return (self._messages[name], "type") if name is not None else None
        for name, applies in self._shapes:
            if applies(content, headers):
                return self._messages[name], "shape"
        return None

    def _strange(self, content: Any, headers: Mapping[str, str], position: str) -> Untranslatable:
        title, hint = self.manifest.title, f"`entrepot packs show {self.manifest.pack}` lists what it knows"
        for path in self._rules.type:
            if headers.get(path.header) if path.header else walk(content, path):
                place = HEADER + path.header if path.header else position + pointer(path.segments)
                return Untranslatable(
                    f"{title} sends no message of this type, as far as its pack knows", position=place, hint=hint
                )
        said = " or ".join(HEADER + p.header if p.header else dotted(p.segments) for p in self._rules.type)
        lack = f"it does not say its type ({said}), and its" if said else "its"
        return Untranslatable(
            f"this is no known message of {title}: {lack} shape is none that the pack knows",
            position=position,
            hint=hint,
        )


def _form(rules: PackRules, mappings: Iterable[CompiledMapping]) -> Form:
    """Which mapping a message goes to is known only when it is decoded: so a list for one is a list for all."""
    inner = {path for mapping in mappings for reads in mapping.read_paths for path in reads}
    wrapped = {(*around.segments, *path) for around in rules.unwrap for path in inner}
    keys = {path.segments for path in (*rules.key, *rules.type) if not path.header}
    given = rules.manifest.xml
    xml = XmlForm(lists=lists_in(inner | wrapped | keys), keyed=given.keyed, blank=frozenset(given.blank))
    return Form(format=rules.manifest.format, xml=xml)


def _shapes(rules: PackRules) -> list[tuple[str, Callable[[Any, Mapping[str, str]], bool]]]:
    spot = rules.spot.child("messages")
    return [
        (message.name, condition(message.shape, rules.headers, spot.item(at).child("shape")))
        for at, message in enumerate(rules.manifest.messages)
        if message.shape
    ]
