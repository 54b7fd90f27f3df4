"""Where a connection is in its life."""

from enum import Enum


class State(Enum):
    """From first to last; a connection may leave out any but the first and the last."""

    REQUESTED = "waiting for the request"
    ANSWERING = "its answer is being found"
    OPEN = "open"
    ANSWERED = "answered by plain HTTP"
    CLOSING = "closing"
    GONE = "gone"
