"""Finds the line of every key of a TOML document that tomli has already accepted.

tomli has positions for syntax errors only. Because the document is known to be valid, the scanner needs no error
handling: it only has to know where keys, strings, arrays and tables begin and end (TOML 1.0, 1.1).
"""

import re
from bisect import bisect_right
from itertools import accumulate

import tomli

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may end in up to two quotes of its own right before the closing three.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(document: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every key, table and array element of `document`.

    `document` is TOML that `tomli.loads` accepts. A table is found at its header, or where its first key is written
    when it has none; an array element where its value begins.
    """
    return _Scanner(document).scan()


class _Scanner:
    def __init__(self, document: str) -> None:
        self._text = document
        self._at = 0
        self._line_starts = [0, *accumulate(len(line) + 1 for line in document.split("\n"))]
        self._lines: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}  # arrays of tables: how many elements each has so far

    def scan(self) -> dict[Path, int]:
        prefix: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"the scanner lost its way at offset {self._at}")
        self._at = match.end()
        return self._at

    def _mark(self, path: Path, start: int) -> None:
        self._lines.setdefault(path, bisect_right(self._line_starts, start))

    def _header(self) -> Path:
        start = self._at
        repeated = self._text.startswith("[[", start)
        self._at += 2 if repeated else 1
        parts = self._key()
        self._at += 2 if repeated else 1
        path: Path = ()
        for index, part in enumerate(parts):
            path = (*path, part)
            last = index == len(parts) - 1
            if last and not repeated:
                # The header outranks an earlier [a.b] that only implied this table.
                self._lines[path] = bisect_right(self._line_starts, start)
            self._mark(path, start)
            if last and repeated:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
                self._mark(path, start)
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._text[start] in "\"'":
                self._skip(_STRING)
                # tomli knows the escapes of a quoted key.
                parts.append(next(iter(tomli.loads(f"{self._text[start : self._at]}=0"))))
            else:
                self._skip(_BARE_KEY)
                parts.append(self._text[start : self._at])
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _pair(self, prefix: Path) -> None:
        start = self._at
        path = prefix
        for part in self._key():
            path = (*path, part)
            self._mark(path, start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case '"' | "'":
                self._skip(_STRING)
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK)] != "]":
            self._mark((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._comma()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK)] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
