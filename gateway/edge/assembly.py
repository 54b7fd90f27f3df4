"""A message that comes in fragments (RFC 6455, 5.4). Pure."""

import codecs


class Assembly:
    """The fragments of one message until it is whole."""

    __slots__ = ("_decoder", "_fragments", "text")

    def __init__(self, *, text: bool) -> None:
        self.text = text
        self._fragments: list[bytes] = []
        # Text that is no UTF-8 is refused at the fragment that shows it, not at the last one.
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None

    def add(self, data: bytes, *, last: bool) -> bytes | None:
        """The whole message with its last fragment, None before. Raises UnicodeDecodeError (RFC 6455, 8.1)."""
        if self._decoder is not None:
            self._decoder.decode(data, last)
        self._fragments.append(data)
        return b"".join(self._fragments) if last else None
