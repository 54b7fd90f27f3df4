"""Home Assistant's MQTT discovery: `<prefix>/<component>/[<node>/]<object>/config` describes other topics.

Sources: home-assistant.io "MQTT discovery", "MQTT sensor", "MQTT binary sensor", the list of abbreviations. A value
template is never evaluated: only a plain path into `value_json` (or `value` itself) is understood, anything else yields
no reading. What a configuration says is believed for names and units, and may still be wrong.
"""

from collections.abc import Sequence
from typing import NamedTuple

from devices import numbers, quantities, units
from devices.bounded import MAX_KEY, Bounded
from devices.generic import BY_UNIT
from devices.ha_config import COMPONENTS, expand, follow, is_config, plain_path, written_out
from devices.reading import DecodeError, DeviceState, Reading, Value

_MAX_TOPICS = 5000
_MAX_PER_TOPIC = 128
_MAX_CONFIG = numbers.MAX_JSON  # the device form holds a hundred entities in one document


class Entity(NamedTuple):
    """One discovered entity; `path` leads into the JSON payload, () is the plain payload, None is not understood."""

    component: str
    device: str | None
    object_id: str
    device_class: str | None
    unit: str | None
    path: tuple[str | int, ...] | None
    payload_on: str
    payload_off: str
    esphome: bool

    @property
    def quantity(self) -> str | None:
        """Canonical name by the device class, else by a unit that only one quantity has; None if neither says."""
        if self.device_class:
            return quantities.from_device_class(self.device_class, self.component == "binary_sensor")
        return "switch" if self.component == "switch" else BY_UNIT.get(self.unit or "")


class HomeAssistantDiscovery:
    """Learns entities from retained configurations; decodes topics that only discovery explains."""

    family = "ha_discovery"

    def __init__(self) -> None:
        self.generation = 0  # goes up whenever other topics may be recognised or claimed than before
        self.entities: Bounded[str, dict[str, Entity]] = Bounded(_MAX_TOPICS)  # state topic → config key → entity
        self.names: Bounded[str, str] = Bounded(_MAX_TOPICS)  # device → name
        self._sources: Bounded[str, list[tuple[str, str]]] = Bounded(_MAX_TOPICS)  # config topic → (state topic, key)
        # availability topic → device, what it says for online and offline, state topic of one of its entities
        self._availability: Bounded[str, tuple[str, str, str, str | None]] = Bounded(_MAX_TOPICS)

    def recognises(self, topic: str, payload: bytes) -> bool:
        return is_config(topic) or topic in self.entities or topic == "homeassistant/status"

    def claims(self, topic: str) -> bool:
        return is_config(topic) or topic in self._availability or topic == "homeassistant/status"

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        if topic == "homeassistant/status":
            online = numbers.availability(payload)
            return () if online is None else (DeviceState("homeassistant", online),)
        if is_config(topic):
            self._configure(topic, payload)
            return ()
        known = self._availability.get(topic)
        if known is None:
            return ()
        device, on, off, _ = known
        text = payload.decode("utf-8", "replace") if len(payload) <= numbers.MAX_TEXT else ""
        online = True if text == on else False if text == off else numbers.availability(payload)
        return () if online is None else (DeviceState(device, online),)

    def _configure(self, topic: str, payload: bytes) -> None:
        self.generation += 1
        for state_topic, key in self._sources.pop(topic, ()):
            entities = self.entities.get(state_topic)
            if entities is not None:
                entities.pop(key, None)
                if not entities:
                    del self.entities[state_topic]
        if not payload:
            return
        if len(topic) > MAX_KEY:
            raise DecodeError(f"a configuration's topic may have {MAX_KEY} characters")
        document = written_out(numbers.load_object(payload, _MAX_CONFIG))
        levels = topic.split("/")
        component, object_id = levels[-4] if levels[-4] in COMPONENTS and len(levels) > 4 else levels[-3], levels[-2]
        sources: list[tuple[str, str]] = []
        components = document.get("components")
        if isinstance(components, dict):
            shared = {key: value for key, value in document.items() if key != "components"}
            for name, item in list(components.items())[:_MAX_PER_TOPIC]:
                item = written_out(item) if isinstance(item, dict) else {}
                if set(item) - {"platform"}:  # reduced to its platform, a component is being removed
                    self._add({**shared, **item}, str(item.get("platform")), str(name), topic, sources)
        else:
            self._add(document, component, object_id, topic, sources)
        if sources:
            self._sources[topic] = sources

    def _add(
        self, config: dict[str, object], component: str, name: str, topic: str, sources: list[tuple[str, str]]
    ) -> None:
        base = config.get("~")
        state_topic = expand(config.get("state_topic"), base)
        device = config.get("device")
        device = written_out(device) if isinstance(device, dict) else {}
        identifiers = device.get("identifiers", device.get("ids"))
        if isinstance(identifiers, list):
            identifiers = identifiers[0] if identifiers else None
        identity = str(identifiers)[:MAX_KEY] if isinstance(identifiers, str | int) else None
        title = device.get("name")
        if identity is not None and isinstance(title, str) and len(title) <= 256:
            self.names[identity] = title
        unique = config.get("unique_id")
        maker = f"{device.get('sw', device.get('sw_version', ''))}{device.get('mf', '')}".lower()
        esphome = "esphome" in maker or (isinstance(unique, str) and unique.startswith("ESP"))
        if not esphome:  # ESPHome's own topics name its devices
            self._add_availability(config, base, identity, state_topic)
        if state_topic is None:
            return
        if "+" in state_topic or "#" in state_topic or not state_topic:
            raise DecodeError("state_topic must be one topic, without wildcards")
        device_class = config.get("device_class")
        entity = Entity(
            component,
            identity,
            name[:MAX_KEY],
            device_class if isinstance(device_class, str) and len(device_class) <= 64 else None,
            units.unit(config.get("unit_of_measurement")),
            plain_path(config.get("value_template")),
            # A switch's payloads are its commands; its states may be spelt otherwise.
            str(config.get("state_on", config.get("payload_on", "ON")))[:MAX_KEY],
            str(config.get("state_off", config.get("payload_off", "OFF")))[:MAX_KEY],
            esphome,
        )
        key = f"{topic} {name}"
        entities = self.entities.get(state_topic)
        if entities is None:
            entities = self.entities[state_topic] = {}
        if len(entities) < _MAX_PER_TOPIC:
            entities[key] = entity
            sources.append((state_topic, key))

    def _add_availability(
        self, config: dict[str, object], base: object, identity: str | None, state_topic: str | None
    ) -> None:
        on, off = config.get("payload_available", "online"), config.get("payload_not_available", "offline")
        topics = [expand(config.get("availability_topic"), base)]
        several = config.get("availability")
        if isinstance(several, list):
            # A bridge's own state is in most lists, and says nothing of this device.
            topics += [expand(written_out(item).get("topic"), base) for item in several[-1:] if isinstance(item, dict)]
        for topic in topics:
            if topic and identity and not topic.endswith("/bridge/state"):
                self._availability[topic] = identity, str(on)[:MAX_KEY], str(off)[:MAX_KEY], state_topic

    def speaks_for(self, topic: str) -> str | None:
        """A state topic of the device whose availability this topic tells."""
        known = self._availability.get(topic)
        return None if known is None else known[3]

    def name(self, topic: str) -> str | None:
        """The name of the device that has an entity below a state topic."""
        for entity in self.entities.get(topic, {}).values():
            if entity.device is not None:
                return self.names.get(entity.device)
        return None

    def plain(self, topic: str) -> Entity | None:
        """The entity whose state is this topic's whole payload, if exactly one is."""
        entities = self.entities.get(topic)
        if not entities or len(entities) != 1:
            return None
        entity = next(iter(entities.values()))
        return entity if entity.path == () else None

    def units(self, topic: str) -> dict[str, str]:
        """Quantity → unit of the entities below a topic, those left out on which two entities disagree."""
        found: dict[str, str] = {}
        for entity in self.entities.get(topic, {}).values():
            quantity = entity.quantity
            if quantity is None or entity.unit is None:
                continue
            if found.setdefault(quantity, entity.unit) != entity.unit:
                found[quantity] = ""
        return {quantity: unit for quantity, unit in found.items() if unit}

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        entities = self.entities.get(topic)
        if not payload or not entities or is_config(topic):
            return []
        document: object = None
        if any(entity.path for entity in entities.values()):
            document = numbers.load_json(payload)
        text = payload.decode("utf-8", "replace").strip() if len(payload) <= numbers.MAX_TEXT else None
        out: list[Reading] = []
        seen: set[tuple[str, str | None, str]] = set()
        for entity in entities.values():
            if entity.path is None:
                continue
            value = _value(entity, follow(document, entity.path) if entity.path else text)
            if value is None:
                continue
            device = entity.device or topic.rpartition("/")[0] or topic
            channel: str | None = entity.object_id
            quantity = entity.quantity
            if quantity is None:
                last = entity.path[-1] if entity.path else entity.object_id
                quantity = quantities.quantity(str(last))
            if entity.esphome and (device, None, quantity) not in seen:
                channel = None  # as ESPHome's own topics are named
            if (device, channel, quantity) not in seen:
                seen.add((device, channel, quantity))
                out.append(Reading(device, channel, quantity, value, entity.unit, None))
        return out


def _value(entity: Entity, value: object) -> Value | None:
    if entity.component in ("binary_sensor", "switch"):
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        if text.lower() == entity.payload_on.lower():
            return True
        return False if text.lower() == entity.payload_off.lower() else None
    if entity.component != "sensor":
        return None
    if isinstance(value, str):
        return numbers.number(value)
    return value if numbers.is_number(value) else None  # type: ignore[return-value]
