"""Where each key of a TOML text stands: `outputs[1].fields.sku` → line and column, both from 1.

For texts that tomllib has taken already: it says no positions, so they are found again when a sentence needs one.
"""

from __future__ import annotations

import re
import tomllib

Place = tuple[int, int]

GUESS = re.compile(r"#[ \t]*guess [0-9]{1,3} %")

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def child_key(key: str, name: str) -> str:
    """The key of `name` inside `key`, as people write it."""
    bare = name.replace("_", "").replace("-", "").isalnum() and name.isascii()
    shown = name if bare else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{key}.{shown}" if key else shown


def find_places(text: str) -> dict[str, Place]:
    """All keys and list elements with their places. `text` must be valid TOML."""
    scan = _Scan(text)
    scan.document()
    return {key: place_of(text, offset) for key, offset in scan.found.items()}


def nearest_place(text: str, key: str) -> Place | None:
    """The place of a key or, if it stands nowhere, of what should hold it; None for the file as a whole."""
    scan = _Scan(text)
    try:
        scan.document()
    except (ValueError, IndexError):
        return None
    while key and key not in scan.found:
        key = _holder(key)
    return place_of(text, scan.found[key]) if key else None


def guessed_keys(text: str) -> frozenset[str]:
    """Keys on lines that still say `# guess 70 %`, as `entrepot map new` writes them: nobody has confirmed them."""
    if GUESS.search(text) is None:
        return frozenset()
    lines = {number for number, line in enumerate(text.split("\n"), 1) if GUESS.search(line)}
    return frozenset(key for key, (line, _) in find_places(text).items() if line in lines)


def place_of(text: str, offset: int) -> Place:
    """Line and column of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _holder(key: str) -> str:
    match = re.match(r"""(?s)(.*?)(?:\[[0-9]+\]|\.?(?:"(?:[^"\\]|\\.)*"|[^."\[\]]+))$""", key)
    return match[1] if match and match[1] != key else ""


class _Scan:
    """One walk over the text."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[str, int] = {}
        self._lists: dict[str, int] = {}
        """Number of entries that were headed [[key]]."""

    def document(self) -> None:
        table = ""
        while self._skip() < len(self.text):
            if self.text[self.at] == "[":
                table = self._heading()
            else:
                self._pair(table)

    def _heading(self) -> str:
        start, many = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names, key = self._names(), ""
        for number, (name, _) in enumerate(names, 1):
            key = child_key(key, name)
            if many and number == len(names):
                self._note(key, start)
                self._lists[key] = self._lists.get(key, 0) + 1
            if key in self._lists:
                key = f"{key}[{self._lists[key] - 1}]"
            self._note(key, start)
        self.at = self.text.index("]", self.at) + (2 if many else 1)
        return key

    def _pair(self, key: str) -> None:
        for name, offset in self._names():
            key = child_key(key, name)
            self._note(key, offset)
        self.at = self.text.index("=", self.at) + 1
        self._value(key)

    def _names(self) -> list[tuple[str, int]]:
        names: list[tuple[str, int]] = []
        while True:
            self._skip()
            match = _KEY.match(self.text, self.at)
            if match is None:
                raise ValueError("expected a key")
            raw = match[0]
            names.append((str(tomllib.loads(f"k = {raw}")["k"]) if raw[0] in "\"'" else raw, self.at))
            dot = _DOT.match(self.text, match.end())
            self.at = dot.end() if dot else match.end()
            if dot is None:
                return names

    def _value(self, key: str) -> None:
        self._skip()
        first = self.text[self.at]
        if first in "[{":
            self.at += 1
            self._inside(key, "]" if first == "[" else "}")
            return
        match = (_TEXT if first in "\"'" else _PLAIN).match(self.text, self.at)
        if match is None:
            raise ValueError("expected a value")
        self.at = match.end()

    def _inside(self, key: str, end: str) -> None:
        index = 0
        while self._skip() < len(self.text) and self.text[self.at] != end:
            if self.text[self.at] == ",":
                self.at += 1
            elif end == "]":
                self._note(f"{key}[{index}]", self.at)
                self._value(f"{key}[{index}]")
                index += 1
            else:
                self._pair(key)
        self.at += 1

    def _skip(self) -> int:
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.at

    def _note(self, key: str, offset: int) -> None:
        self.found.setdefault(key, offset)
