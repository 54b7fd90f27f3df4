"""The error tree, and the close codes with what a client should do about them.

GatewayError
├── CommandError      a client's command was refused: answered by an `error` event, the connection stays
├── CloseConnection   the conversation is over: a close code, a reason, and whether to come back
└── UpstreamError     a broker link failed: facts for the log and for the viewers
"""

from enum import Enum
from typing import NamedTuple


class GatewayError(Exception):
    """Base of everything this package raises on purpose."""


class CommandError(GatewayError):
    """The peer asked for something that it does not get.

    `code` is one of the protocol's error codes ("bad-filter", "forbidden", …), `text` is for people, `id` is the
    command's own, echoed so that the peer can tell which one failed.
    """

    def __init__(self, code: str, text: str, id: str | int | None = None) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.id = id

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class CloseConnection(GatewayError):
    """The peer's connection has to end, with this close code and reason (at most 123 bytes: RFC 6455, 5.5)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


class UpstreamError(GatewayError):
    """A link to a broker failed; `slow` says that trying again soon is useless (bad credentials, not allowed)."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.slow = slow

    def __str__(self) -> str:
        return self.text


class Reconnect(Enum):
    """What a client should do after a close code."""

    NEVER = "no"
    AT_ONCE = "at once"
    AFTER_RETRY_AFTER = "after retry_after"
    AFTER_JITTER = "after 30 s, with jitter"
    AFTER_10_S = "after 10 s"
    AFTER_NEW_CREDENTIALS = "after new credentials"


class CloseCode(NamedTuple):
    """A close code of RFC 6455, 7.4, or of the private range, with its advice."""

    code: int
    meaning: str
    reconnect: Reconnect


STOPPING = CloseCode(1001, "gateway is stopping", Reconnect.AFTER_RETRY_AFTER)
PROTOCOL_ERROR = CloseCode(1002, "protocol error", Reconnect.NEVER)
WRONG_DATA = CloseCode(1003, "wrong kind of data", Reconnect.NEVER)
BAD_UTF8 = CloseCode(1007, "text is not UTF-8", Reconnect.NEVER)
TOO_BIG = CloseCode(1009, "message too big", Reconnect.NEVER)
INTERNAL_ERROR = CloseCode(1011, "a fault of the gateway", Reconnect.AFTER_JITTER)
RESTART = CloseCode(1012, "gateway restarts", Reconnect.AFTER_RETRY_AFTER)
FULL = CloseCode(1013, "gateway is full", Reconnect.AFTER_JITTER)
NOT_AUTHENTICATED = CloseCode(4401, "no or bad credentials", Reconnect.AFTER_NEW_CREDENTIALS)
FORBIDDEN = CloseCode(4403, "role forbids it", Reconnect.NEVER)
NO_PONG = CloseCode(4408, "no pong in time", Reconnect.AT_ONCE)
SLOW_CONSUMER = CloseCode(4413, "slow consumer", Reconnect.AT_ONCE)
TOO_FAST = CloseCode(4429, "too many commands", Reconnect.AFTER_10_S)

ERROR_OF_CLOSE = {
    NOT_AUTHENTICATED.code: "not-authenticated",
    FORBIDDEN.code: "forbidden",
    NO_PONG.code: "no-pong",
    TOO_FAST.code: "too-fast",
}
"""How dialects name an end that they have to put into words of their own."""

CLOSE_CODES = (
    STOPPING,
    PROTOCOL_ERROR,
    WRONG_DATA,
    BAD_UTF8,
    TOO_BIG,
    INTERNAL_ERROR,
    RESTART,
    FULL,
    NOT_AUTHENTICATED,
    FORBIDDEN,
    NO_PONG,
    SLOW_CONSUMER,
    TOO_FAST,
)
