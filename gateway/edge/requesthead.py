"""Where a request ends and what came behind it begins. Pure."""

from gateway.edge.http import MAX_REQUEST

END = b"\r\n\r\n"


class RequestHead:
    """The head of one request as it comes, in whatever pieces."""

    __slots__ = ("_size", "_tail")

    def __init__(self) -> None:
        self._size = 0
        self._tail = b""

    def take(self, data: bytes) -> int:
        """How many bytes of `data` belong to the head: those up to its end, or all.

        Raises ValueError where the head is longer than MAX_REQUEST.
        """
        before = len(self._tail)
        joined = self._tail + data
        end = joined.find(END)
        self._tail = joined[1 - len(END) :]
        mine = end + len(END) - before if end >= 0 else len(data)
        self._size += mine
        if self._size > MAX_REQUEST:
            raise ValueError(f"a request has at most {MAX_REQUEST} bytes of headers")
        return mine
