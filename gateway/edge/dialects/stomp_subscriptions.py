"""One STOMP client's subscriptions, and what it acknowledges of them. Pure."""

from collections.abc import Hashable

from gateway.edge.commands import Subscribe, replay_in
from gateway.edge.dialects.stomp_frames import Malformed
from gateway.edge.dialects.stomp_messages import Row, acknowledgement, meaning_of
from gateway.edge.dialects.window import Window
from gateway.topics import shorten

EVENTS = "/gateway/events"
"""The destination at which the gateway tells what no MESSAGE can: gaps, ends of replays, links, devices."""
MODES = ("auto", "client", "client-individual")
_IN_FLIGHT = 1 << 20  # STOMP knows no bound of its own: that in bytes rules


class Subscriptions:
    """The rows of this client by the id that it gave them; `listeners` are the ids of subscriptions to EVENTS."""

    def __init__(self) -> None:
        self.window: Window | None = None
        self.rows: dict[str, Row] = {}
        self.listeners: dict[str, None] = {}
        self._modes: dict[str, str] = {}

    def add(self, headers: dict[str, str], command: str) -> Subscribe | None:
        """The command, of the id `command`, that a SUBSCRIBE comes to; None for one to EVENTS. Raises Malformed."""
        id, destination = needed(headers, "id"), needed(headers, "destination")
        mode = headers.get("ack", "auto")
        if mode not in MODES:
            raise Malformed(f"ack is one of {', '.join(MODES)}")
        if id in self.rows or id in self.listeners:
            raise Malformed(f"subscription {shorten(id)} is there already")
        if destination == EVENTS:
            self.listeners[id] = None
            return None
        filter, style = meaning_of(destination)
        wish = _wish(headers, filter, id, command)
        self.rows[id] = Row(filter, id, style, mode != "auto")
        self._modes[id] = mode
        if mode != "auto" and self.window is None:
            self.window = Window(self._stamp, count=_IN_FLIGHT)
        return wish

    def remove(self, id: str) -> str | None:
        """The filter of a subscription that ends; None where it was one to EVENTS. Raises Malformed."""
        if id in self.listeners:
            del self.listeners[id]
            return None
        row = self.rows.pop(id, None)
        if row is None:
            raise Malformed(f"there is no subscription {shorten(id)}")
        del self._modes[id]
        self._acknowledge_up_to(id, None)
        return row.filter

    def acknowledge(self, key: str) -> None:
        """ACK, and NACK: nothing is stored that could go to somebody else."""
        if self.window is None or key not in self.window.unacknowledged:
            return
        id = key.rpartition("@")[0]
        if self._modes.get(id) == "client":
            self._acknowledge_up_to(id, key)
        self.window.acknowledge(key)

    def _stamp(self, frame: bytes) -> tuple[bytes, tuple[Hashable, ...]]:
        # What was under way at an UNSUBSCRIBE is acknowledged by nobody.
        return frame, tuple(key for key in acknowledgement(frame) if key.rpartition("@")[0] in self._modes)

    def _acknowledge_up_to(self, id: str, key: str | None) -> None:
        if self.window is None:
            return
        for earlier in list(self.window.unacknowledged):
            if earlier == key:
                return
            if isinstance(earlier, str) and earlier.rpartition("@")[0] == id:
                self.window.acknowledge(earlier)


def needed(headers: dict[str, str], name: str) -> str:
    """A header that has to be there. Raises Malformed."""
    value = headers.get(name)
    if value is None:
        raise Malformed(f"the header {name} is missing")
    return value


def _wish(headers: dict[str, str], filter: str, id: str, command: str) -> Subscribe:
    mode, text = headers.get("mode", "all"), headers.get("replay", "last")
    if "replay" not in headers and "epoch" in headers and "offset" in headers:
        text = f"{headers['epoch']}:{headers['offset']}"
    try:
        replay, interval = replay_in(text), float(headers.get("interval", "0"))
    except ValueError as error:
        raise Malformed(str(error)) from None
    if mode not in ("all", "latest") or not 0 <= interval <= 86_400:
        raise Malformed("mode is all or latest, interval a number of seconds from 0 to 86400")
    return Subscribe(
        topics=[filter],
        id=command,
        mode="latest" if mode == "latest" else "all",
        interval=interval,
        replay=replay,
        copy=id,
    )
