"""The scanner knows every key that tomli knows, and the line of each."""

from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.positions import Path, key_lines

DOCUMENT = '''\
# a comment with [a.header] and key = "value"
title = "one" # trailing
"quoted.key" = 1
'lit eral' = 2
"esc\\u0061ped" = 3
multi = """
not = "a key"
[nor.a.header]
""" # the string ends with one
quotes = """"two quotes at the end"""""
literal = \'\'\'
it's = 5
\'\'\'

[table]
plain = 1979-05-27 07:32:00
dotted.inner.key = true
dotted . spaced = false
[table.sub]
array = [
  1, # one ]
  "two, ]",
  [ 3, 4 ],

  { a = 5, b = { c = [6] } },
]
[[list]]
a = 1
[list.under]
b = 2
[[list]]
[[list.nested]]
c = 3
[[list.nested]]
c = 4
[ "spaced" . header ]
x = { }
y = []
z = [
]
[late.child]
v = 1
[late]
w = 1
'''

LINES = {
    ("title",): 2,
    ("quoted.key",): 3,
    ("lit eral",): 4,
    ("escaped",): 5,
    ("multi",): 6,
    ("quotes",): 10,
    ("literal",): 11,
    ("table",): 15,
    ("table", "plain"): 16,
    ("table", "dotted"): 17,
    ("table", "dotted", "inner"): 17,
    ("table", "dotted", "inner", "key"): 17,
    ("table", "dotted", "spaced"): 18,
    ("table", "sub"): 19,
    ("table", "sub", "array"): 20,
    ("table", "sub", "array", 0): 21,
    ("table", "sub", "array", 1): 22,
    ("table", "sub", "array", 2): 23,
    ("table", "sub", "array", 2, 0): 23,
    ("table", "sub", "array", 2, 1): 23,
    ("table", "sub", "array", 3): 25,
    ("table", "sub", "array", 3, "a"): 25,
    ("table", "sub", "array", 3, "b"): 25,
    ("table", "sub", "array", 3, "b", "c"): 25,
    ("table", "sub", "array", 3, "b", "c", 0): 25,
    ("list",): 27,
    ("list", 0): 27,
    ("list", 0, "a"): 28,
    ("list", 0, "under"): 29,
    ("list", 0, "under", "b"): 30,
    ("list", 1): 31,
    ("list", 1, "nested"): 32,
    ("list", 1, "nested", 0): 32,
    ("list", 1, "nested", 0, "c"): 33,
    ("list", 1, "nested", 1): 34,
    ("list", 1, "nested", 1, "c"): 35,
    ("spaced",): 36,
    ("spaced", "header"): 36,
    ("spaced", "header", "x"): 37,
    ("spaced", "header", "y"): 38,
    ("spaced", "header", "z"): 39,
    ("late",): 43,
    ("late", "child"): 41,
    ("late", "child", "v"): 42,
    ("late", "w"): 44,
}


def paths(value: Any, path: Path = ()) -> set[Path]:
    """Every key and element of what tomli returned."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: set[Path] = {path} if path else set()
    return found.union(*(paths(item, (*path, key)) for key, item in items))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_key_has_its_line(newline: str) -> None:
    document = DOCUMENT.replace("\n", newline)
    assert key_lines(document) == LINES
    assert paths(tomli.loads(document)) == set(LINES)


@pytest.mark.parametrize(
    "document", ["", "\n", "# only a comment", "a=1", "[t]", "[[t]]", "a=1 # no newline at the end"]
)
def test_the_ends_of_a_document_are_no_trap(document: str) -> None:
    assert set(key_lines(document)) == paths(tomli.loads(document))


# A writer of TOML that notes the line of all it writes, to hold the scanner against.

NAMES = st.one_of(
    st.sampled_from(["a", "b", "key", "1", "x-y", "_"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=4),
)
SPACES = st.sampled_from(["", " ", "\t", "  "])
GAPS = st.sampled_from(["", " ", "\n", " # ]},=\"'\n", "\n\n", "\t\n "])
TEXTS = st.sampled_from(
    [
        '"plain"',
        '"with \\" and \\\\ # no comment"',
        "'literal \\ # [x]'",
        '"""one\nkey = "x"\n"""',
        '"""ends with quotes"""""',
        '"""\\"""\n"""',
        "'''it's\n[not.a.table]\n'''",
        "'''two''''",
        '""',
        "''",
        '""""""',
    ]
)
SCALARS = st.one_of(
    TEXTS,
    st.sampled_from(["1", "-0.5", "true", "inf", "0x1F", "1979-05-27", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00"]),
)


class Writer:
    """Writes a random document piece by piece; `lines` is what the scanner has to find."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, name: str) -> None:
        bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
        if bare and self.draw(st.booleans()):
            self.put(name)
        elif "'" not in name and self.draw(st.booleans()):
            self.put(f"'{name}'")
        else:
            self.put('"' + "".join(f"\\U{ord(c):08x}" if c in '"\\' else c for c in name) + '"')

    def pairs(self, path: Path, depth: int, inline: bool) -> None:
        """Write pairs of one table, some of them with dotted keys that open a table of their own."""
        names = self.draw(st.lists(NAMES, max_size=3, unique=True))
        for index, name in enumerate(names):
            if inline:
                self.put(self.draw(SPACES))
            else:
                self.put(self.draw(SPACES))
            here = (*path, name)
            self.mark(here)
            self.key(name)
            if self.draw(st.booleans()):
                self.put(self.draw(SPACES) + "." + self.draw(SPACES))
                inner = self.draw(NAMES)
                here = (*here, inner)
                self.mark(here)
                self.key(inner)
            self.put(self.draw(SPACES) + "=" + self.draw(SPACES))
            self.value(here, depth)
            self.put(self.draw(SPACES))
            if inline:
                self.put("," if index < len(names) - 1 else "")
            else:
                self.put(self.draw(st.sampled_from(["\n", " # [c]\n", "\n\n"])))

    def value(self, path: Path, depth: int) -> None:
        kind = self.draw(st.sampled_from(["scalar", "array", "table"])) if depth else "scalar"
        if kind == "scalar":
            self.put(self.draw(SCALARS))
        elif kind == "table":
            self.put("{")
            self.pairs(path, depth - 1, inline=True)
            self.put("}")
        else:
            self.put("[")
            count = self.draw(st.integers(0, 3))
            for index in range(count):
                self.put(self.draw(GAPS))
                self.mark((*path, index))
                self.value((*path, index), depth - 1)
                self.put(self.draw(GAPS))
                self.put("," if index < count - 1 or self.draw(st.booleans()) else "")
            self.put(self.draw(GAPS) + "]")


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """Tables, arrays of tables and tables below them, in any order that TOML allows."""
    writer = Writer(draw)
    for number, table in enumerate(draw(st.lists(st.sampled_from(["table", "list"]), max_size=4))):
        name = f"{draw(NAMES)}{number}"
        for index in range(1 if table == "table" else draw(st.integers(1, 3))):
            path: Path = (name,)
            writer.mark(path)
            if table == "list":
                path = (name, index)
                writer.mark(path)
            writer.put("[" if table == "table" else "[[")
            writer.key(name)
            writer.put("]" if table == "table" else "]]")
            writer.put("\n")
            writer.pairs(path, 2, inline=False)
            if draw(st.booleans()):
                below = (*path, "below the table")
                writer.mark(below)
                writer.put("[")
                writer.key(name)
                writer.put(" . 'below the table' ] # c\n")
                writer.pairs(below, 1, inline=False)
    return writer


@given(documents())
def test_any_document_that_is_written_is_found_line_by_line(writer: Writer) -> None:
    assert paths(tomli.loads(writer.text)) == set(writer.lines)
    assert key_lines(writer.text) == writer.lines


@given(st.text(st.sampled_from(list("ab.=[]{}\"'\n #,1\\")), max_size=40))
def test_whatever_tomli_accepts_is_scanned(document: str) -> None:
    try:
        data = tomli.loads(document)
    except tomli.TOMLDecodeError:
        return
    assert set(key_lines(document)) == paths(data)
