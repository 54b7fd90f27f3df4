"""Who is in the volley: sockets without TLS, once there are many of them, where the kernel has io_uring for us.

TLS makes other bytes of the same message for everybody, and few sockets are served as fast one by one: a box with a
handful of viewers never opens a ring.
"""

import contextlib
import logging
import socket
from array import array
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from gateway.hub.handing import DIRECT
from gateway.hub.volley import MOST, NOWHERE, outcome

if TYPE_CHECKING:
    from gateway.edge.uring import Uring

log = logging.getLogger("gateway.edge")

MANY = 16  # sockets for whom it is worth the memory


class Member(Protocol):
    """A client's socket; `slot` is its own in the volley, NOWHERE where it has none."""

    slot: int

    def fileno(self) -> int:
        """Its descriptor."""

    def placed(self) -> None:
        """It has another slot than before."""


class Volley:
    """Room for `most` sockets. For the loop's thread; `close` ends it."""

    least = 8

    def __init__(self, most: int) -> None:
        self._most = most
        self._refused = False
        self._ring: Uring | None = None
        self._early: list[Member] = []
        self._free: deque[int] = deque()

    def enter(self, member: Member) -> None:
        """Give `member` a slot, where there is one for it, now or when there are many."""
        if self._free:
            self._place(member)
        elif self._ring is None and not self._refused:
            self._early.append(member)
            if len(self._early) == MANY:
                self._open()

    def leave(self, member: Member) -> None:
        """The socket is about to be closed."""
        slot, member.slot = member.slot, NOWHERE
        if slot == NOWHERE:
            with contextlib.suppress(ValueError):  # it found no room in the ring
                self._early.remove(member)
        elif self._ring is not None:
            self._ring.empty(slot)
            self._free.append(slot)

    def fire(self, slots: "array[int]", blob: bytes) -> Iterable[tuple[int, int]]:
        """See gateway.hub.volley."""
        assert self._ring is not None
        return self._ring.fire(slots, blob)

    def close(self) -> None:
        """Give back what the kernel holds, when no member is left."""
        self._free.clear()
        self._refused = True
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _place(self, member: Member) -> None:
        # The slot that was given back longest ago: nobody can remember whose it was.
        member.slot = self._free.popleft()
        assert self._ring is not None
        self._ring.fill(member.slot, member.fileno())
        member.placed()

    def _open(self) -> None:
        self._refused = True
        try:
            # ctypes takes its share of a small box's memory, where it is never needed.
            from gateway.edge.uring import Uring

            ring = Uring(max(self._most, MOST), DIRECT)
        except (OSError, ImportError, AttributeError, MemoryError) as error:
            log.info("viewers without TLS are served one by one: io_uring is not to be had (%s)", error)
            return
        if not _proven(ring):
            ring.close()
            log.info("viewers without TLS are served one by one: this kernel's io_uring counts what it sent otherwise")
            return
        self._ring = ring
        self._free.extend(range(1, ring.most + 1))
        early, self._early = self._early, []
        for member in early:
            self._place(member)


def _proven(ring: "Uring") -> bool:
    """Whether all, a part and nothing are told apart: by a kernel that counts otherwise, bytes would be lost."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        slots = array("I", [NOWHERE, 1])
        ring.fill(1, ours.fileno())
        try:
            if list(ring.fire(slots, b"all")) or theirs.recv(DIRECT) != b"all":
                return False
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            part = list(ring.fire(slots, bytes(DIRECT)))
            if len(part) != 1 or part[0][0] != 1 or not 0 < part[0][1] < DIRECT:
                return False
            nothing = list(ring.fire(slots, b"nothing"))
            if len(nothing) != 1 or not isinstance(outcome(nothing[0][1])[1], BlockingIOError):
                return False
            return len(theirs.recv(DIRECT)) == part[0][1]
        except OSError:
            return False
        finally:
            ring.empty(1)
