"""The library's server side of RFC 6455, where it has to be put right or into words. Pure."""

import logging

from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gateway.edge.http import Reply

# The library tells of every connection at INFO; the server does that in the project's own words.
_quiet = logging.getLogger("gateway.edge.websockets")
_quiet.setLevel(logging.CRITICAL)


class WebSocket(ServerProtocol):
    """Reads what the client sends, and makes control frames; messages go out without it. `max_size` in bytes."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size=max_size, logger=_quiet)

    def shake_hands(self, request: Request, headers: list[tuple[str, str]]) -> bytes | Reply:
        """What accepts the handshake, with `headers` of ours; where `request` is no good one, the answer to it."""
        response = self.accept(request)
        if response.status_code != 101:
            reason = str(self.handshake_exc or "not a WebSocket handshake")
            return _declined(reason, response.status_code, list(response.headers.raw_items()))
        for name, value in headers:
            response.headers[name] = value
        self.send_response(response)
        return b"".join(self.data_to_send())

    def recv_frame(self, frame: Frame) -> None:
        # A close frame may come between the fragments of a message (RFC 6455, 5.4 and 5.5.1); the library takes that
        # for an error.
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


def close_reason(reason: str) -> str:
    """A close reason of at most 123 bytes (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore")


def refusal(error: BaseException) -> Reply:
    """The answer to a request that the library could not read."""
    text = str(error)
    cause = error.__cause__
    while cause is not None:
        text += f"; {cause}"
        cause = cause.__cause__
    if isinstance(error, RequestLineTooLong):
        return Reply.refusal(414, text)
    if isinstance(error, HeaderLineTooLong | TooManyHeaders):
        return Reply.refusal(431, text)
    return Reply.refusal(400, text)


def _declined(reason: str, status: int, headers: list[tuple[str, str]]) -> Reply:
    """The answer to a request that is no WebSocket handshake, from the library's own `status` and `headers`."""
    extra = [(k, v) for k, v in headers if k in ("Upgrade", "Allow")]
    # RFC 6455, 4.4: a version that is not ours is answered by the one that is.
    if "Sec-WebSocket-Version" in reason:
        extra.append(("Sec-WebSocket-Version", "13"))
    return Reply.refusal(400 if status == 505 else status, reason, extra)
