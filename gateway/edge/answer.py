"""An answer that takes its time: found a step at a time, in turn with everybody's replays. Pure.

Ten thousand last values, decoded and put together at once, would hold every viewer up for a tenth of a second, as often
as somebody asks.
"""

from typing import Protocol

from gateway.edge.http import Reply
from gateway.edge.states import State
from gateway.edge.visits import Later, Pending


class Asker(Protocol):
    """The connection that waits for it."""

    state: State

    def reply(self, reply: Reply, *, head: bool = False) -> None:
        """Answer by plain HTTP and close."""

    def abort(self, reason: str) -> None:
        """End at once."""


class Answer:
    """A Stepper of the desk; without the body for `head`."""

    def __init__(self, pending: Pending, asker: Asker, *, head: bool) -> None:
        self._steps, self._headers = pending
        self._asker = asker
        self._head = head
        asker.state = State.ANSWERING

    def step(self) -> bool:
        """Take a step; whether another can be taken at once."""
        if self._asker.state is not State.ANSWERING:
            return False  # gone: nobody waits for it any more
        try:
            reply = next(self._steps)
        except Exception:  # whatever it is, the log says it; and nobody is left waiting for what will not come
            self._asker.abort("no answer could be found")
            raise
        if reply is None:
            return True
        self._asker.reply(_with(reply, self._headers), head=self._head)
        return False


def answer_later(later: Later, asker: Asker, *, head: bool) -> None:
    """Reply once somebody else has found the answer; whoever is gone meanwhile gets none."""
    asker.state = State.ANSWERING
    later.begin(lambda reply: asker.reply(_with(reply, later.headers), head=head))


def _with(reply: Reply, headers: tuple[tuple[str, str], ...]) -> Reply:
    return reply._replace(headers=(*reply.headers, *headers))
