"""Text from the network on a terminal: nothing of it may steer the terminal."""

import re

# C0 and C1 controls and DEL, line and paragraph separators, and the characters that turn the reading direction.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """`text` on one line, with every character that a terminal would act on written as an escape."""
    return _UNSAFE.sub(lambda found: _NAMES.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


def visible_lines(text: str) -> str:
    """The same of each line of a text that is meant to have several."""
    return "\n".join(visible(line) for line in text.split("\n"))


def visible_json(text: str) -> str:
    """A JSON document on one line that means the same: such characters can stand in its strings only, as `\\uXXXX`.

    Line breaks and tabs of the document itself can only stand between its parts, so a blank serves as well.
    """
    return _UNSAFE.sub(lambda found: " " if found[0] in _NAMES else f"\\u{ord(found[0]):04x}", text)
