"""XML bytes to plain dicts, lists and texts, by the rule in docs/mappings.md; errors name line and column.

Nothing that a document type declaration could do is possible: one is refused at its first character, so entities (bombs,
files of this machine, addresses in the network) cannot be declared. Depth, number of elements and size are bounded.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.parsers import expat

from msgspec import Struct

from runtime.errors import Untranslatable
from runtime.mapping.paths import EACH, Segment

BYTES_MAX = 16 * 1024 * 1024
DEPTH_MAX = 100
"""Elements inside elements; the deepest business document seen (UBL, IDoc) has 15."""
ELEMENTS_MAX = 200_000
"""Of one message, attributes counted too: each costs about 200 bytes of memory, far more than on the wire."""
DOCUMENTS_MAX = 1_000
"""One behind the other in one file."""
ROOT = "#root"
TEXT = "#text"
_AFTER_THE_ROOT = frozenset(
    {
        expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT],
        expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI],
    }
)
_PROLOG = re.compile(rb"(?:[\xef\xbb\xbf\xfe\xff\s]|<\?.*?\?>|<!--.*?-->)*+(<!DOCTYPE)", re.DOTALL)
_WIDE_BYTES = 65_536
"""Of UTF-16, how far a declaration is looked for before expat is asked."""
_DTD = "a document type declaration (DOCTYPE) is refused: it could declare entities"
_UNKNOWN = "the character set that the message names is not known, or has more than one byte a character"
_READABLE = "UTF-8, UTF-16, Latin-1 and the one-byte code pages can be read"
_ENTITY = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
_TRUE = frozenset({"true", "1"})


class Node(Struct, frozen=True):
    """What the rules read inside one element."""

    inner: dict[str, Node]
    lists: frozenset[str]
    """Children that are a list even when there is one of them, because a rule goes through them one by one."""


NOWHERE = Node({}, frozenset())


class XmlForm(Struct, frozen=True, kw_only=True):
    """How the elements of one platform become values."""

    lists: Node = NOWHERE
    keyed: Mapping[str, str] = {}
    """Element → the child that tells its repetitions apart: they become an object by that child's text."""
    blank: frozenset[str] = frozenset()
    """Texts that stand for "no value", such as `00000000` for a date."""


PLAIN = XmlForm()


def lists_in(reads: Iterable[tuple[Segment, ...]]) -> Node:
    """Where the rules read list elements, from the paths that they read (`[]` or a number behind a list)."""
    tree: dict[str, Any] = {}
    for path in reads:
        here = tree
        for at, part in enumerate(path):
            if isinstance(part, int) or part == EACH:
                continue
            inner = here.setdefault(part, [False, {}])
            inner[0] |= at + 1 < len(path) and (isinstance(path[at + 1], int) or path[at + 1] == EACH)
            here = inner[1]
    return _node(tree)


def _node(tree: dict[str, Any]) -> Node:
    if not tree:
        return NOWHERE
    inner = {name: _node(below) for name, (_, below) in tree.items()}
    return Node(inner, frozenset(name for name, (is_list, _) in tree.items() if is_list))


def decode_xml(body: bytes, charset: str = "", form: XmlForm = PLAIN) -> Any:
    """The contents of the root element; a list of them if several documents stand one behind the other.

    `charset` outranks the declaration (RFC 7303), a byte order mark outranks both. Raises `Untranslatable`.
    """
    if len(body) > BYTES_MAX:
        raise Untranslatable(f"the XML has more than {BYTES_MAX} bytes", position="line 1, column 1")
    if not body.removeprefix(codecs.BOM_UTF8).strip():
        raise Untranslatable("the message is empty", position="line 1, column 1")
    whole, start = memoryview(body), 0
    found: list[dict[str, Any]] = []
    if body.startswith(codecs.BOM_UTF8):
        start, charset = len(codecs.BOM_UTF8), "utf-8"
    # A blank line before the declaration is not allowed, and is sent all the same.
    start += len(body) - start - len(body[start:].lstrip())
    reader = _Reader(form)
    while start < len(body):
        if len(found) >= DOCUMENTS_MAX:
            raise Untranslatable(f"more than {DOCUMENTS_MAX} documents in one file", position=_place(body, start, 1, 0))
        root, used = reader.read(body, whole[start:], start, charset)
        found.append(root)
        start += used
    return found if len(found) > 1 else found[0]


def _doctype(part: memoryview) -> int | None:
    """Where a document type declaration begins, found before expat sees a byte of what it declares."""
    wide = b"\0" in bytes(part[:4])
    found = _PROLOG.match(bytes(part[:_WIDE_BYTES]).replace(b"\0", b"") if wide else part)
    return None if found is None else 0 if wide else found.start(1)


def _another(error: expat.ExpatError, part: memoryview, at: int) -> int | None:
    """Where the next document begins, if it is one that expat stumbled over; its mark is broken in a one-byte code page."""
    marked = bytes(part[max(at - 2, 0) : at + 3]).find(codecs.BOM_UTF8)
    if marked >= 0 and at > 2:
        return at - 2 + marked
    return at if error.code in _AFTER_THE_ROOT and 0 < at < len(part) else None


class _TooMuch(Exception):
    """Raised inside a callback: expat then reads on to the end, but calls nobody, so the place is noted here."""

    def __init__(self, problem: str, parser: expat.XMLParserType) -> None:
        super().__init__(problem)
        self.line, self.column = parser.CurrentLineNumber, parser.CurrentColumnNumber


class _Reader:
    """Reads the documents of one message; the budget of elements is for all of them."""

    def __init__(self, form: XmlForm) -> None:
        self._form = form
        self._left = ELEMENTS_MAX

    def read(self, body: bytes, part: memoryview, start: int, charset: str) -> tuple[dict[str, Any], int]:
        """One document and how many bytes it takes; what follows its root element is the next one."""
        marked = bytes(part[:3]).startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if (at := _doctype(part)) is not None:
            raise Untranslatable(_DTD, position=_place(body, start + at, 1, 0))
        parser = expat.ParserCreate(None if marked or not charset else charset)
        builder = _Builder(parser, self._form, self._left)
        try:
            # All at once: fed in pieces, expat before 2.6 reads a long token again with each piece (CVE-2023-52425).
            parser.Parse(part, True)
        except expat.ExpatError as error:
            another = _another(error, part, parser.ErrorByteIndex) if builder.root is not None else None
            if another is None or builder.root is None:
                place = _place(body, start, error.lineno, error.offset)
                raise Untranslatable(_problem(error), position=place, hint=_hint(error)) from None
            self._left = builder.left
            return builder.root, another
        except _TooMuch as error:
            raise Untranslatable(str(error), position=_place(body, start, error.line, error.column)) from None
        except (LookupError, ValueError):
            raise Untranslatable(_UNKNOWN, position=_place(body, start, 1, 0), hint=_READABLE) from None
        assert builder.root is not None
        return builder.root, len(part)


class _Builder:
    """The callbacks for one document. They run for each element of each message, so they are plain and few."""

    __slots__ = ("_blank", "_keyed", "_name", "_node", "_parser", "_stack", "_table", "_texts", "left", "root")

    def __init__(self, parser: expat.XMLParserType, form: XmlForm, left: int) -> None:
        self._parser, self._keyed, self._blank, self.left = parser, form.keyed, form.blank, left
        self.root: dict[str, Any] | None = None
        self._stack: list[tuple[str, dict[str, Any] | None, list[str], Node]] = []
        self._name, self._node = "", Node({"": form.lists}, frozenset())
        self._table: dict[str, Any] | None = None
        self._texts: list[str] = []
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.say
        # Behind `_doctype`, for UTF-16 that begins with a long comment.
        parser.StartDoctypeDeclHandler = self.refuse

    def start(self, tag: str, attributes: list[str]) -> None:
        self.left -= 1 + len(attributes) // 2
        if self.left < 0:
            raise _TooMuch(f"the XML has more than {ELEMENTS_MAX} elements and attributes", self._parser)
        stack, node = self._stack, self._node
        if len(stack) >= DEPTH_MAX:
            raise _TooMuch(f"the XML is nested deeper than {DEPTH_MAX} elements", self._parser)
        name = tag if ":" not in tag else tag.rpartition(":")[2]
        self._node = node.inner.get(name if stack else "", NOWHERE)
        stack.append((self._name, self._table, self._texts, node))
        self._name = name
        self._table = _attributes(attributes) if attributes else None
        self._texts = []

    def say(self, text: str) -> None:
        self._texts.append(text)

    def end(self, _tag: str) -> None:
        tag, value = self._name, self._value()
        self._name, self._table, self._texts, self._node = self._stack.pop()
        if not self._stack:
            self.root = {ROOT: tag, **(value if value.__class__ is dict else {TEXT: value})}
            return
        table = self._table
        if table is None:
            table = self._table = {}
        if self._keyed and tag in self._keyed:
            _put_keyed(table, tag, value, self._keyed[tag])
        elif tag not in table:
            table[tag] = [value] if tag in self._node.lists else value
        elif table[tag].__class__ is list:
            table[tag].append(value)
        else:
            table[tag] = [table[tag], value]

    def _value(self) -> Any:
        texts, table = self._texts, self._table
        text = texts[0].strip() if len(texts) == 1 else "".join(texts).strip()
        if text in self._blank:
            text = ""
        if table is None:
            return text
        if text:
            table[TEXT] = text
        return "" if not text and table.get("@nil") in _TRUE else table

    def refuse(self, *_given: object) -> None:
        raise _TooMuch(_DTD, self._parser)


def _attributes(pairs: list[str]) -> dict[str, Any] | None:
    """`@name` → text; declarations of namespaces say nothing about the business."""
    table: dict[str, Any] = {}
    for at in range(0, len(pairs), 2):
        prefix, colon, name = pairs[at].rpartition(":")
        if prefix != "xmlns" and pairs[at] != "xmlns" and (not colon or "@" + name not in table):
            table["@" + name] = pairs[at + 1]
    return table or None


def _put_keyed(table: dict[str, Any], tag: str, value: Any, child: str) -> None:
    """The first of each key counts; what has no key stands under the empty one."""
    key = value.get(child, "") if value.__class__ is dict else ""
    table.setdefault(tag, {}).setdefault(key if key.__class__ is str else "", value)


def _problem(error: expat.ExpatError) -> str:
    return f"not valid XML: {expat.errors.messages[error.code]}"


def _hint(error: expat.ExpatError) -> str:
    if error.code == _ENTITY:
        return "only &amp; &lt; &gt; &quot; &apos; and numbers such as &#228; are known: write the character itself"
    if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
        return "if the sender writes Latin-1, its declaration or its content type must say so"
    return ""


def _place(body: bytes, start: int, line: int, column: int) -> str:
    """Counted over all documents of the message, both from 1."""
    if line == 1:
        column += start - (body.rfind(b"\n", 0, start) + 1)
    return f"line {line + body.count(10, 0, start)}, column {column + 1}"
