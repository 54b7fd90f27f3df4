"""Text in the columns of a terminal, where some characters take two and some none."""

import unicodedata


def cells(text: str) -> int:
    """How many columns a terminal gives to `text`: two to a wide character (UAX #11), none to one that combines."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` columns, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    taken, room = 0, width - 1
    for number, char in enumerate(text):
        taken += _cells_of(char)
        if taken > room:
            return text[:number] + "…" if width > 0 else ""
    return text


def padded(text: str, width: int) -> str:
    """`text`, filled up with blanks to `width` columns."""
    return text + " " * (width - cells(text))


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
