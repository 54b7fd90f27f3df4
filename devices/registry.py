"""Which family decodes a topic, and the one place where a decoder may fail.

`auto` asks the families of the table in order whether they recognise the topic and payload, and sticks to the answer
for the topic; topics of no family fall back to JSON, binary documents and plain values, payload by payload, until
discovery tells better. Nothing here raises outward: a failure is counted by family and topic.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from devices import numbers, quantities
from devices.bounded import MAX_KEY, Bounded
from devices.failures import Failure, Failures
from devices.families import FALLBACKS, FAMILIES, load, third_party
from devices.ha_discovery import HomeAssistantDiscovery
from devices.mapping import DeviceRule
from devices.reading import DecodeError, Decoder, DeviceState, Reading
from devices.rules import AUTO, Rules
from devices.table import DeviceTable

_LOOSE = frozenset(("esphome", "shelly_gen2"))  # their prefix is free: they claim any …/status and …/online
_MAX_TOPICS = 20_000
_MAX_CLAIMS = 8 * _MAX_TOPICS  # asked for every message: a miss costs more than an entry
_SETTLED = 3  # messages after which a topic that no family recognised is taken for one of none
_EVENTS = re.compile(
    r"(?:.*/)?(?:actions?|buttons?|click|press|alarms?|events?|event/.*|events/rpc|input_event/.*|longpush/.*|RESULT"
    r"|BTtoMQTT|RFtoMQTT|433toMQTT|(?:bridge/)?logging|tags?|scan|doorbell|ring|notif(?:y|ication)s?)"
    r"|spBv1\.0/.*|rtl_433/.*/events"
)


class _Choice(NamedTuple):
    decoder: Decoder | None  # None: one of the fallbacks, by payload
    generation: int
    seen: int


class Registry:
    """All decoders, and what was heard from the devices. Raises ValueError for a rule with an unknown family."""

    def __init__(self, rules: Iterable[DeviceRule] = ()) -> None:
        self.table = DeviceTable()
        self._families: dict[str, Decoder] = {name: load(target) for name, target in FAMILIES.items()}
        self._fallbacks: dict[str, Decoder] = {name: load(target) for name, target in FALLBACKS.items()}
        self._families |= third_party({*self._families, *self._fallbacks})
        discovery = self._families["ha_discovery"]
        assert isinstance(discovery, HomeAssistantDiscovery)
        self._discovery = discovery
        self._changing = [decoder for decoder in self._families.values() if hasattr(decoder, "generation")]
        self._named = [decoder for decoder in self._families.values() if hasattr(decoder, "names")]
        self._eventful = [decoder for decoder in self._families.values() if hasattr(decoder, "events")]
        self._rules = Rules(rules, {**self._families, **self._fallbacks})
        self._choices: Bounded[str, _Choice] = Bounded(_MAX_TOPICS)
        self._claims: Bounded[str, tuple[Decoder, ...]] = Bounded(_MAX_CLAIMS)
        self._keep: Bounded[str, bool] = Bounded(_MAX_CLAIMS)
        self.generation = self._counted()  # changes whenever a topic that nobody claimed may be claimed now
        self._failures = Failures()

    @property
    def families(self) -> list[str]:
        """Names that `family` may have, third-party ones included."""
        return [*self._families, *self._fallbacks]

    # ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _counted(self) -> int:
        return sum(decoder.generation for decoder in self._changing)

    def _claiming(self, topic: str) -> tuple[Decoder, ...]:
        claiming = self._claims.get(topic)
        if claiming is None:
            found = [decoder for decoder in self._families.values() if decoder.claims(topic)]
            # One device, one identity: a family's own topic speaks for it, then discovery, then what merely looks like
            # availability.
            certain = [decoder for decoder in found if decoder.family not in _LOOSE and decoder is not self._discovery]
            if self._discovery in found and not certain:
                loose = [decoder for decoder in found if decoder is not self._discovery]
                found = loose if loose and self._is_native(self._discovery.speaks_for(topic)) else [self._discovery]
            else:
                found = certain or found or [item for item in self._fallbacks.values() if item.claims(topic)]
            claiming = tuple(found)
            if len(topic) <= MAX_KEY:
                self._claims[topic] = claiming
        return claiming

    def _is_native(self, topic: str | None) -> bool:
        """Whether a family, not discovery, decodes a topic that discovery describes."""
        return topic is not None and any(
            decoder.recognises(topic, shape)
            for decoder in self._families.values()
            if decoder is not self._discovery
            for shape in (b"", b"{}")
        )

    def claims(self, topic: str) -> bool:
        """Whether `observe` wants the messages of this topic: discovery, births, units, availability."""
        return bool(self._claiming(topic))

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> list[DeviceState]:
        """Take in state; return the devices whose availability changed by it. Never raises."""
        changed: list[DeviceState] = []
        for decoder in self._claiming(topic):
            try:
                states = decoder.observe(topic, payload, retained, now)
            except DecodeError as error:
                self._failures.count(decoder.family, topic, str(error))
                continue
            except Exception as error:  # a decoder's own fault must not stop the way of the message
                self._failures.count(decoder.family, topic, f"fault: {type(error).__name__}: {error}")
                continue
            changed += [state for state in states if self.table.state(state.device, state.online, now)]
        # Only here can a family come to know a base topic, a device or an entity that makes more topics its own.
        generation = self._counted()
        if generation != self.generation:
            self.generation = generation
            self._claims.clear()
            self._keep.clear()
        return changed

    # ── readings ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, topic: str, payload: bytes) -> Decoder:
        choice = self._choices.get(topic)
        generation = self.generation
        # What only discovery explains is asked again after it changed; a family's topic stays the family's.
        if (
            choice is not None
            and choice.decoder is not None
            and (choice.decoder is not self._discovery or choice.generation == generation)
        ):
            return choice.decoder
        if choice is None or choice.seen < _SETTLED or choice.generation != generation:
            seen = 0 if choice is None or choice.generation != generation else choice.seen
            for decoder in self._families.values():
                if decoder.recognises(topic, payload):
                    # An empty payload clears a topic, and says nothing of its shape.
                    if payload and len(topic) <= MAX_KEY:
                        self._choices[topic] = _Choice(decoder, generation, 0)
                    return decoder
            if payload and len(topic) <= MAX_KEY:
                self._choices[topic] = _Choice(None, generation, seen + 1)
        for decoder in self._fallbacks.values():
            if decoder.recognises(topic, payload):
                return decoder
        return self._fallbacks["scalar"]

    def family(self, topic: str, payload: bytes = b"") -> str:
        """The family that decodes this topic, "mapping" for one of the configuration's."""
        return (self._rules.of(topic).decoder or self._choose(topic, payload)).family

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The readings of a message, `now` being when it was received (Unix seconds). Never raises."""
        rule = self._rules.of(topic)
        decoder: Decoder | None = None
        try:
            decoder = rule.decoder or self._choose(topic, payload)
            try:
                readings = decoder.decode(topic, payload, retained, now)
            except numbers.NotFinite as error:
                # One dead sensor (nan) makes the whole document invalid: counted, and the others' values saved.
                self._failures.count(decoder.family, topic, str(error))
                readings = decoder.decode(topic, numbers.without_nonfinite(payload), retained, now)
            if readings and topic in self._discovery.entities and decoder is not self._discovery:
                readings = self._enriched(topic, readings)
                self.table.name(readings[0].device, self._discovery.name(topic), None)
        except DecodeError as error:
            self._failures.count(decoder.family if decoder else AUTO, topic, str(error))
            return []
        except Exception as error:  # a decoder's own fault must not stop the way of the message
            self._failures.count(decoder.family if decoder else AUTO, topic, f"fault: {type(error).__name__}: {error}")
            return []
        if readings:
            self.table.take(readings, topic, now, decoder.family)
            if rule.name or rule.area:
                self.table.name(readings[0].device, rule.name, rule.area)
        return readings

    def reread(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The readings of a message of the past: nothing is learned from it, nothing is counted. Never raises.

        May be called in a thread beside `decode`.
        """
        try:
            decoder = self._rules.of(topic).decoder or self._choose(topic, payload)
            try:
                readings = decoder.decode(topic, payload, retained, now)
            except numbers.NotFinite:
                readings = decoder.decode(topic, numbers.without_nonfinite(payload), retained, now)
            if readings and topic in self._discovery.entities and decoder is not self._discovery:
                readings = self._enriched(topic, readings)
        except Exception:  # it was counted when it came; a decoder's own fault must not end a chart
            return []
        return readings

    def _enriched(self, topic: str, readings: list[Reading]) -> list[Reading]:
        """Units, and the quantity of a lone plain value, as discovery states them for another family's topic."""
        entity = self._discovery.plain(topic)
        if entity is not None and len(readings) == 1:
            reading = readings[0]
            quantity = entity.quantity
            if quantity not in quantities.QUANTITIES or reading.quantity in quantities.QUANTITIES:
                quantity = reading.quantity
            stated = reading.unit or (None if isinstance(reading.value, bool) else entity.unit)
            return [reading._replace(quantity=quantity, unit=stated)]
        units = self._discovery.units(topic)
        return [
            reading._replace(unit=units.get(reading.quantity))
            if reading.unit is None and not isinstance(reading.value, bool)
            else reading
            for reading in readings
        ]

    def keep_all(self, topic: str) -> bool:
        """Whether every message of the topic counts (presses, alarms, partial updates), not only the latest."""
        keep = self._keep.get(topic)
        if keep is None:
            keep = self._rules.of(topic).keep_all or _EVENTS.fullmatch(topic) is not None
            keep = keep or any(decoder.events(topic) for decoder in self._eventful)
            if len(topic) <= MAX_KEY:
                self._keep[topic] = keep
        return keep

    # ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def failures_by_family(self) -> dict[str, int]:
        """How often each family failed, ever."""
        return self._failures.by_family

    def failures(self) -> Sequence[Failure]:
        """Failed decodes by family and topic, for at most 1,000 of them; `failures_by_family` counts all."""
        return self._failures.all()

    def devices(self, now: float) -> Iterator[dict[str, Any]]:
        """What `/api/devices` shows: see `DeviceTable.snapshot`; names of the configuration win over learned ones."""
        for device in self.table.snapshot(now):
            if device["name"] is None:
                for decoder in self._named:
                    name = decoder.names.get(device["device"])
                    if name is not None:
                        device["name"] = name
                        break
            yield device
