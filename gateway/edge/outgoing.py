"""What goes out to one client: through its outbox, without exception. A Viewer for the hub and a Line for the session.

While the socket takes everything at once the outbox is not even there: the hub's flush calls the socket's own `send`,
or reaches it in a volley.
"""

from collections.abc import Callable
from typing import Protocol

from gateway.edge.events import gap_of
from gateway.edge.session import Session
from gateway.edge.states import State
from gateway.edge.transport import WOULD_BLOCK, Transport, failure_of
from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.ledger import Ledger
from gateway.hub.outbox import Bounds, Outbox, Overflow
from gateway.hub.rate import Pressure
from gateway.hub.row import Places, held

PUMP = 4  # offers a wake-up


class Means(Protocol):
    """What all clients share."""

    bounds: Bounds
    budget: Budget
    clock: Callable[[], float]


class Owner(Protocol):
    """The connection whose bytes go out."""

    state: State
    session: Session | None
    due: float

    @property
    def host(self) -> Means:
        """What all clients share."""

    def drained(self) -> None:
        """Everything has gone."""

    def overflowed(self) -> None:
        """The client is past its bounds."""

    def sacrificed(self) -> None:
        """All clients together hold too much, and this one the most."""

    def finish(self, code: int, reason: str) -> None:
        """Close politely once everything before has gone."""

    def abort(self, reason: str) -> None:
        """End at once."""


class Outgoing:
    """`queued` while anything waits."""

    __slots__ = ("_behind", "_outbox", "_owner", "_place", "_sends", "_taken", "_told", "_transport", "queued", "send")

    def __init__(self, transport: Transport, owner: Owner) -> None:
        self.send = transport.send
        self.queued = False
        self._told = 0
        self._transport = transport
        self._owner = owner
        self._outbox: Outbox | None = None
        self._behind = False
        self._taken = 0
        self._sends: Places | None = None
        self._place = 0

    @property
    def session(self) -> Session | None:
        """Whose this is."""
        return self._owner.session

    @property
    def slot(self) -> int:
        """Its socket's in the volley."""
        return self._transport.slot

    @property
    def open(self) -> bool:
        """Whether there is an outbox: then patience has to be looked after."""
        return self._outbox is not None

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._outbox.size if self._outbox is not None else 0

    @property
    def lost(self) -> int:
        """Messages that were dropped or merged for being behind, ever: told in a gap, or still to be told."""
        return self._told + (self._outbox.ledger.count if self._outbox is not None else 0)

    # A Viewer.

    def stand(self, sends: Places, place: int) -> None:
        sends[place] = held if self.queued else self.send
        self._sends, self._place = sends, place

    def restand(self) -> None:
        """Say in its place what holds now."""
        if self._sends is not None:
            self._sends[self._place] = held if self.queued else self.send

    def push(self, batch: Batch) -> None:
        owner = self._owner
        if owner.state is not State.OPEN:
            return
        outbox = self._outbox or self._open()
        try:
            if self.queued:
                outbox.push(batch, now=None if batch.messages is None else owner.host.clock())
                return
            # The policy is for those who are behind, which this client is only by what its socket does not take.
            outbox.push(batch, now=None)
            self.pump()
            if self._outbox is outbox and batch.messages is not None:
                outbox.judge(owner.host.clock())
        except Overflow:
            owner.overflowed()

    def short(self, batch: Batch, taken: int) -> None:
        if self._owner.state is State.GONE:
            return  # since the volley went out
        outbox = self._outbox or self._open()
        self._wait()
        try:
            outbox.resume(batch, taken, now=self._owner.host.clock())
        except Overflow:
            self._owner.overflowed()

    def failed(self, batch: Batch, error: OSError) -> None:
        owner = self._owner
        if owner.state is State.GONE:
            return
        if isinstance(error, WOULD_BLOCK):
            outbox = self._outbox or self._open()
            self._wait()
            if self._transport.secure:
                outbox.refused(batch)
                return
            try:
                outbox.push(batch, now=owner.host.clock())
            except Overflow:
                owner.overflowed()
        else:
            owner.abort(failure_of(error))

    def owe(self, ledger: Ledger) -> None:
        if frame := self._gap(ledger):
            self.deliver(frame)

    # A Line.

    def deliver(self, frame: bytes) -> None:
        self.push(solo(frame))

    def pressure(self) -> Pressure:
        pressure = Pressure(
            self._behind or self.queued, self._outbox.waiting if self._outbox is not None else 0, self._taken
        )
        self._behind, self._taken = False, 0
        return pressure

    def backlog(self) -> Outbox:
        host = self._owner.host
        return Outbox(host.bounds, self._gap, budget=host.budget)

    def finish(self, code: int, reason: str) -> None:
        self._owner.finish(code, reason)

    def abort(self, reason: str) -> None:
        self._owner.abort(reason)

    # What the connection calls.

    def control(self, frame: bytes) -> None:
        """Put a frame into the control lane; `kick` sends it. Raises Overflow."""
        (self._outbox or self._open()).control(frame)

    def kick(self) -> bool:
        """Send what waits if nobody does yet; whether anything waited."""
        if self.queued:
            return True
        if self._outbox is None:
            return False
        self.pump()
        return True

    def pump(self) -> None:
        """Offer the socket what waits."""
        outbox = self._outbox
        if outbox is None or self._owner.state is State.GONE:
            return
        limit = self._transport.offer
        for _ in range(PUMP):
            chunk = outbox.chunk(limit)
            if chunk is None:
                self._drained()
                return
            try:
                taken = self.send(chunk)  # type: ignore[arg-type]
            except WOULD_BLOCK:
                break
            except OSError as error:
                self._owner.abort(failure_of(error))
                return
            outbox.took(taken)
            self._taken += taken
            if taken < len(chunk):
                break
        if outbox:
            self._queue()
            self._transport.want_write()
        else:
            self._drained()

    def overdue(self, now: float) -> bool:
        """Whether the client has been past `hard` for longer than `patience`."""
        return self._outbox is not None and self._outbox.overdue(now)

    def adopt(self, bounds: Bounds) -> None:
        """Go by these bounds from now on."""
        if self._outbox is not None:
            self._outbox.bounds = bounds

    def clear(self) -> None:
        """Drop all of which no byte has been offered."""
        if self._outbox is not None:
            self._told = self.lost
            self._outbox.clear()

    def close(self) -> None:
        """Nothing will be taken any more."""
        if self.queued:
            self.queued = False
            if self._sends is not None:
                self._sends[self._place] = self.send
        self._told = self.lost
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.close()
            self._owner.host.budget.close(outbox)

    def end(self) -> None:
        """The socket is about to be closed: whatever row still remembers it must not reach the next one in its slot."""
        self.close()
        if self._sends is not None:
            self._sends[self._place] = held
            self._sends = None

    def _queue(self) -> None:
        """Have the hub come here first. Not for what the socket takes at once: rows are made anew at every change."""
        if not self.queued:
            self.queued = True
            if self._sends is not None:
                self._sends[self._place] = held

    def _wait(self) -> None:
        """The socket takes no more: go on when it does, and be it with a close frame alone."""
        self._queue()
        self._transport.want_write()

    def _open(self) -> Outbox:
        host = self._owner.host
        outbox = self._outbox = Outbox(host.bounds, self._gap, budget=host.budget, end=self._owner.sacrificed)
        host.budget.open(outbox)
        self._owner.due = 0.0
        return outbox

    def _drained(self) -> None:
        self._transport.stop_writing()
        self.close()
        self._owner.drained()

    def _gap(self, ledger: Ledger) -> bytes:
        if ledger.reason == "slow-consumer":
            self._told += ledger.count
            self._behind = True
        session = self._owner.session
        return session.dialect.event(gap_of(ledger)) if session is not None else b""
