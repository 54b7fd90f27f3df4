"""One MQTT client's subscriptions: SUBSCRIBE and UNSUBSCRIBE to commands, and the code of every filter. Pure."""

from collections.abc import Sequence
from typing import Literal

from gateway.edge import commands
from gateway.edge.dialects.mqtt_packets import Subscribe, Unsubscribe, Wish
from gateway.edge.dialects.mqtt_reader import Reason
from gateway.edge.dialects.mqtt_writer import Row
from gateway.topics import validate_filter

EVENTS = "$gateway/events"
"""The topic at which the gateway tells what no PUBLISH of a broker's can: gaps, links, devices."""


class _Asked:
    """A SUBSCRIBE on its way: a code per filter, the filters of each command it became, the rows it replaced."""

    def __init__(self, wishes: list[Wish]) -> None:
        self.wishes = wishes
        self.codes: list[int] = [Reason.UNSPECIFIED] * len(wishes)
        self.parts: dict[str, list[str]] = {}
        self.before: dict[str, Row | None] = {}

    def settle(self, filter: str, refusal: int | None) -> None:
        for number, wish in enumerate(self.wishes):
            if wish.filter == filter:
                self.codes[number] = min(wish.qos, 1) if refusal is None else refusal


class Subscriptions:
    """The rows that this client has or has asked for, by filter."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.listening = False
        self._asked: dict[int, _Asked] = {}
        self._unsubscribing: dict[int, list[str]] = {}

    def subscribe(self, packet: Subscribe) -> tuple[list[commands.Subscribe], list[int]]:
        """The commands of a SUBSCRIBE, and its codes, which are final where there is no command."""
        asked = _Asked(packet.wishes)
        replays: dict[str, Literal["none", "last"]] = {}
        for number, wish in enumerate(packet.wishes):
            if wish.filter.startswith("$share/"):
                asked.codes[number] = Reason.SHARED_NOT_SUPPORTED
                continue
            if wish.filter == EVENTS:
                asked.codes[number] = Reason.SUCCESS
                self.listening = True
                continue
            try:
                validate_filter(wish.filter)
            except ValueError:
                asked.codes[number] = Reason.FILTER_INVALID
                continue
            before = asked.before.setdefault(wish.filter, self.rows.get(wish.filter))
            # 3.8.3.1: 0 sends the retained messages, 1 only for a new subscription, 2 never.
            quiet = wish.retain_handling == 2 or (wish.retain_handling == 1 and before is not None)
            replays[wish.filter] = "none" if quiet else "last"
            self.rows[wish.filter] = Row(wish.filter, min(wish.qos, 1), packet.identifier, wish.retain_as_published)
        said = []
        # Those without a replay first: the SUBACK then goes before all retained messages.
        for replay in sorted(set(replays.values()), reverse=True):
            filters = [filter for filter, own in replays.items() if own == replay]
            id = f"s{packet.packet_id}.{replay}"
            asked.parts[id] = filters
            said.append(commands.Subscribe(topics=filters, id=id, replay=replay))
        if said:
            self._asked[packet.packet_id] = asked
        return said, asked.codes

    def granted(self, id: str, verdicts: Sequence[bool]) -> list[int] | None:
        """One command of a SUBSCRIBE was answered, per filter; all codes once every one is."""
        return self._settle(id, [None if verdict else Reason.NOT_AUTHORIZED for verdict in verdicts])

    def refused(self, id: str, reason: Reason) -> list[int] | None:
        """One command of a SUBSCRIBE was refused as a whole; all codes once every one is answered."""
        return self._settle(id, reason)

    def _settle(self, id: str, refusals: Sequence[int | None] | Reason) -> list[int] | None:
        packet_id = identifier(id)
        asked = self._asked.get(packet_id)
        if asked is None or id not in asked.parts:
            return None
        filters = asked.parts.pop(id)
        each = [refusals] * len(filters) if isinstance(refusals, Reason) else refusals
        for filter, refusal in zip(filters, each, strict=True):
            asked.settle(filter, refusal)
            if refusal is not None:
                self._restore(filter, asked.before[filter])
        if asked.parts:
            return None
        del self._asked[packet_id]
        return asked.codes

    def _restore(self, filter: str, row: Row | None) -> None:
        if row is None:
            self.rows.pop(filter, None)
        else:
            self.rows[filter] = row

    def unsubscribe(self, packet: Unsubscribe) -> commands.Unsubscribe:
        """The command of an UNSUBSCRIBE."""
        self._unsubscribing[packet.packet_id] = packet.filters
        return commands.Unsubscribe(topics=packet.filters, id=f"u{packet.packet_id}")

    def unsubscribed(self, packet_id: int, refusal: Reason | None = None) -> list[int]:
        """An UNSUBSCRIBE is answered: the code of each of its filters."""
        filters = self._unsubscribing.pop(packet_id, [])
        if refusal is not None:
            return [refusal] * len(filters)
        had = [self.rows.pop(filter, None) is not None or (filter == EVENTS and self.listening) for filter in filters]
        self.listening = self.listening and EVENTS not in filters
        return [Reason.SUCCESS if each else Reason.NO_SUBSCRIPTION_EXISTED for each in had]


def identifier(id: str) -> int:
    """The packet identifier in a command's id: a letter, the number, and what came of it behind a dot."""
    return int(id[1:].partition(".")[0])
