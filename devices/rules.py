"""The configuration's `[[device]]` tables: what a topic's family, name and area are, where they say so."""

from collections.abc import Iterable
from typing import NamedTuple

from devices.bounded import MAX_KEY, Bounded
from devices.mapping import DeviceRule, Filter, Mapping
from devices.reading import Decoder

AUTO = "auto"
_MAX_TOPICS = 20_000


class Said(NamedTuple):
    """What the tables say of one topic, the first that says anything of each."""

    decoder: Decoder | None = None  # None: the registry chooses
    name: str | None = None
    area: str | None = None
    keep_all: bool = False


_NOTHING = Said()


class Rules:
    """`decoders` are all families by name. Raises ValueError for a rule with an unknown one."""

    def __init__(self, rules: Iterable[DeviceRule], decoders: dict[str, Decoder]) -> None:
        self._decoders = decoders
        self._rules = [(Filter(rule.filter), self._read(rule)) for rule in rules]
        self._by_topic: Bounded[str, Said] = Bounded(_MAX_TOPICS)

    def of(self, topic: str) -> Said:
        """What the configuration says of a topic."""
        if not self._rules:
            return _NOTHING
        said = self._by_topic.get(topic)
        if said is None:
            matching = [rule for filter, rule in self._rules if filter.match(topic) is not None]
            said = Said(
                next((rule.decoder for rule in matching if rule.decoder is not None), None),
                next((rule.name for rule in matching if rule.name), None),
                next((rule.area for rule in matching if rule.area), None),
                any(rule.keep_all for rule in matching),
            )
            if len(topic) <= MAX_KEY:
                self._by_topic[topic] = said
        return said

    def _read(self, rule: DeviceRule) -> Said:
        decoder: Decoder | None = None
        if rule.readings:
            decoder = Mapping(rule)
        elif rule.family not in (AUTO, ""):
            decoder = self._decoders.get(rule.family)
            if decoder is None:
                known = ", ".join((AUTO, *self._decoders))
                raise ValueError(f"unknown family {rule.family!r} for {rule.filter!r}, expected one of {known}")
        return Said(decoder, rule.name or None, rule.area or None, rule.keep == "all")
