"""A compiled mapping: the `Translator` that the pipeline calls. Immutable; same envelope, same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from runtime.envelope import Envelope, Event, Ignored
from runtime.errors import Untranslatable
from runtime.mapping.decode import Form, decode
from runtime.mapping.document import NO_FRAME, Document, Frame, read_document
from runtime.mapping.generate import Generated, generate
from runtime.mapping.keys import Reader, key_reader, plain_key
from runtime.mapping.paths import Path, Segment, dotted
from runtime.mapping.tables import Read
from runtime.mapping.toml_places import guessed_keys
from runtime.mapping.xmltree import XmlForm, lists_in
from runtime.ports import NO_HEADERS


def load(text: str, file: str, read_text: Read, frame: Frame = NO_FRAME) -> CompiledMapping:
    """Compile a mapping. `file` is its name in messages; `read_text(name)` gives the text of a table file beside it.
    `frame`: what the pack that it belongs to gives it.

    Raises `ConfigError`: one sentence with the file, the key path, what is wrong and the nearest choice.
    """
    document = read_document(text, file, read_text, frame)
    digest = sha256(text.encode())
    for name in sorted(document.files):
        content = document.files[name].encode()
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return CompiledMapping(document, generate(document), digest.hexdigest())


def _form(document: Document, generated: Generated) -> Form:
    keys = {path.segments for path in document.key if not path.header}
    lists = lists_in(generated.reads | keys)
    return Form(
        format=document.format,
        xml=XmlForm(lists=lists, keyed=document.xml.keyed, blank=frozenset(document.xml.blank)),
    )


def _reader(paths: tuple[Path, ...], form: Form) -> Reader | None:
    return key_reader(paths, form) if paths else None


class CompiledMapping:
    """Implements `runtime.ports.Translator`."""

    def __init__(self, document: Document, generated: Generated, sha256_hex: str) -> None:
        self._version = f"{document.name} {document.version} ({sha256_hex[:8]})"
        self.form = _form(document, generated)
        """How bytes become the values that the rules read."""
        self._key = key_reader(document.key, self.form) if document.key else None
        self._partition_keys = [_reader(plain_key(output), self.form) for output in document.outputs]
        self._run, self._choose = generated.run, generated.choose
        self.name = document.name
        self.sha256 = sha256_hex
        """Over the text and its table files."""
        self.headers = document.headers
        """The headers that the rules read, lower case."""
        self.has_key = bool(document.key)
        """Whether messages bring their own idempotency key."""
        self.source_text = generated.source_text
        """The generated Python, for the curious."""
        keys = frozenset(path.segments for path in document.key if not path.header)
        self.reads = frozenset(dotted(path) for path in generated.reads | keys)
        """Every path that some rule reads; `[]` stands for each element of a list."""
        self.read_paths: tuple[frozenset[tuple[Segment, ...]], ...] = tuple(
            reads | keys for reads in generated.reads_by_output
        )
        """What each output reads, the key and the ignore rules included."""
        self.guessed = _guessed(document, generated)
        """Paths that are read only by rules that a scaffold guessed and nobody has confirmed."""
        self.output_types = tuple(output.type.name for output in document.outputs)
        self._messages = tuple(output.messages for output in document.outputs)

    @property
    def version(self) -> str:
        return self._version

    def key(self, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS) -> str | None:
        """The message's own idempotency key; None if it has none or cannot be read. Several paths are joined by `|`."""
        return self._key(body, content_type, headers) if self._key is not None else None

    def types_of(self, message: str) -> tuple[str, ...]:
        """The canonical types that a message of the pack can become."""
        pairs = zip(self.output_types, self._messages, strict=True)
        return tuple(dict.fromkeys(name for name, messages in pairs if not messages or message in messages))

    def translate(self, envelope: Envelope) -> Sequence[Event | Ignored]:
        """Raises `Untranslatable` with the position: a JSON pointer, or line and column."""
        message = decode(envelope.body, envelope.content_type, self.form)
        return self._run(message, envelope.received_us, envelope.headers, "")

    def partition_key(self, envelope: Envelope, message: str = "") -> str | None:
        """The key that a message's events would have, if every output whose `when` holds agrees on it; else None.

        An output that converts its key, or takes it from list elements, gives None: its successors cannot be told apart.
        """
        try:
            chosen = self._choose(decode(envelope.body, envelope.content_type, self.form), envelope.headers, message)
        except (Untranslatable, RecursionError):
            return None
        readers = [self._partition_keys[index] for index in chosen]
        found = {read(envelope.body, envelope.content_type, envelope.headers) if read else None for read in readers}
        return found.pop() if len(found) == 1 else None

    def run(
        self, message: Any, received_us: int, headers: Mapping[str, str] = NO_HEADERS, kind: str = ""
    ) -> list[Event | Ignored]:
        """Translate what is decoded already; `kind` is what a pack calls the message. Raises `Untranslatable`."""
        return self._run(message, received_us, headers, kind)


def _guessed(document: Document, generated: Generated) -> frozenset[tuple[Segment, ...]]:
    keys = guessed_keys(document.spot.text)
    return frozenset(path for path, rules in generated.readers.items() if keys and rules <= keys)
