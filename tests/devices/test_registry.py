from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest
from support.readings import NOW, encode, short

from devices import families
from devices.families import FALLBACKS, FAMILIES, load
from devices.reading import DeviceState, Reading
from devices.registry import Registry
from devices.simulator import Fleet


@dataclass(frozen=True)
class Value:
    quantity: str = "temperature"
    path: str = "t"
    unit: str = "°C"
    device: str = ""
    channel: str = ""
    scale: float = 1.0
    offset: float = 0.0
    deadband: float = 0.0
    min_interval: float = 0.0
    range: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rule:
    filter: str
    family: str = "auto"
    name: str = ""
    area: str = ""
    keep: str = "latest"
    format: str = "json"
    readings: tuple[Value, ...] = ()


CONFIG = "homeassistant/sensor/node/x/config"


def take(registry: Registry, topic: str, payload: object) -> list[Reading]:
    return registry.decode(topic, encode(payload), False, NOW)


@pytest.mark.parametrize(("name", "target"), [*FAMILIES.items(), *FALLBACKS.items()])
def test_every_family_calls_itself_as_the_table_does(name: str, target: str) -> None:
    assert load(target).family == name


@pytest.mark.parametrize(
    ("topic", "payload", "family"),
    [("tele/a/SENSOR", b"{}", "tasmota"), ("zigbee2mqtt/a", b"{}", "zigbee2mqtt"),
     ("shellies/a/relay/0", b"on", "shelly_gen1"),
     ("shellies/a/status/switch:0", b"{}", "shelly_gen2"), ("n/sensor/x/state", b"1", "esphome"),
     ("homie/a/n/p", b"1", "homie"),
     ("spBv1.0/g/NDATA/n", b"", "sparkplug"), ("a/b", b"{}", "json"), ("a/b", b"1", "scalar"),
     (CONFIG, b"{}", "ha_discovery"),
     ("a/b", b"\x81\xa1t\x01", "binary"), ("rtl_433/h/events", b"{}", "rtl_433"),
     ("owntracks/a/b", b"{}", "owntracks"),
     ("homeassistant/sensor/b/state", b'{"t":1}', "json")],
)  # fmt: skip
def test_auto_picks_the_family_by_topic_and_payload(topic: str, payload: bytes, family: str) -> None:
    assert Registry().family(topic, payload) == family


def test_a_family_sticks_to_its_topic() -> None:
    registry = Registry()
    assert registry.family("home/x", b'{"linkquality":1,"temperature":2}') == "zigbee2mqtt"
    assert registry.family("home/x", b'{"temperature":2}') == "zigbee2mqtt"
    assert registry.family("home/y", b'{"temperature":2}') == "json"


def test_a_topic_of_no_family_is_decoded_payload_by_payload() -> None:
    registry = Registry()
    assert short(take(registry, "a/temperature", "21.5")) == [(None, "temperature", 21.5, None)]
    assert short(take(registry, "a/temperature", {"t": 1})) == [(None, "t", 1, None)]


def test_what_discovery_tells_later_counts_for_topics_already_seen() -> None:
    registry = Registry()
    for _ in range(10):
        assert registry.family("x/state/y", b'{"t":1}') == "json"
    registry.observe(CONFIG, encode({"stat_t": "x/state/y", "val_tpl": "{{ value_json.t }}", "unit_of_meas": "°C",
                                     "dev_cla": "temperature", "dev": {"ids": "X"}}), True, NOW)  # fmt: skip
    assert [(r.device, r.channel, r.value) for r in take(registry, "x/state/y", {"t": 1, "u": 2})] == [("X", "x", 1)]
    registry.observe(CONFIG, b"", True, NOW)
    assert registry.family("x/state/y", b'{"t":1}') == "json"


def test_an_empty_payload_does_not_decide_the_family() -> None:
    registry = Registry()
    assert registry.decode("home/x", b"", True, NOW) == []
    assert registry.family("home/x", b'{"linkquality":1}') == "zigbee2mqtt"


def test_discovery_adds_units_and_quantities_to_native_topics_and_no_second_reading() -> None:
    registry = Registry()
    config = {"stat_t": "node/sensor/level/state", "dev_cla": "distance", "unit_of_meas": "cm", "uniq_id": "ESPx",
              "dev": {"ids": "30ae", "name": "Node"}}  # fmt: skip
    registry.observe(CONFIG, encode(config), True, NOW)
    readings = take(registry, "node/sensor/level/state", "12.5")
    assert readings == [Reading("node", None, "distance", 12.5, "cm", None)]
    assert [(device["device"], device["name"]) for device in registry.devices(NOW)] == [("node", "Node")]
    config = {"stat_t": "zigbee2mqtt/a", "val_tpl": "{{ value_json.voc }}", "unit_of_meas": "µg/m³",
              "dev_cla": "volatile_organic_compounds"}  # fmt: skip
    registry.observe(CONFIG, encode(config), True, NOW)
    assert short(take(registry, "zigbee2mqtt/a", {"voc": 3})) == [(None, "volatile_organic_compounds", 3, "µg/m³")]


def test_a_rule_overrules_the_family_names_the_device_and_keeps_all() -> None:
    registry = Registry(
        [Rule("odd/#", family="tasmota"), Rule("odd/tele/a/SENSOR", name="A", area="Cellar", keep="all")]
    )
    assert registry.family("odd/x", b"21.5") == "tasmota"
    take(registry, "odd/tele/a/SENSOR", {"DHT11": {"Humidity": 50}})
    (device,) = registry.devices(NOW)
    assert (device["device"], device["name"], device["area"], device["family"]) == ("a", "A", "Cellar", "tasmota")
    assert registry.keep_all("odd/tele/a/SENSOR")
    assert not registry.keep_all("odd/tele/b/SENSOR")


def test_a_mapping_decodes_what_it_matches() -> None:
    registry = Registry([Rule("plant/+id/raw", readings=(Value(device="+id"),))])
    assert take(registry, "plant/7/raw", {"t": 21.5}) == [Reading("7", None, "temperature", 21.5, "°C", None)]
    assert registry.family("plant/7/raw") == "mapping"
    assert registry.family("plant/7", b"1") == "scalar"


def test_an_unknown_family_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'tasmoto'.*tasmota"):
        Registry([Rule("#", family="tasmoto")])


def test_a_failure_is_counted_by_family_and_topic_and_never_raised() -> None:
    registry = Registry()
    for _ in range(3):
        assert take(registry, "tele/a/SENSOR", b"invalid") == []
    registry.observe("homeassistant/sensor/x/config", b"{", True, NOW)
    assert registry.failures_by_family == {"tasmota": 3, "ha_discovery": 1}
    assert [(f.family, f.topic, f.times) for f in registry.failures()] == [
        ("tasmota", "tele/a/SENSOR", 3), ("ha_discovery", "homeassistant/sensor/x/config", 1),
    ]  # fmt: skip
    for number in range(1500):
        take(registry, f"tele/a{number}/SENSOR", b"invalid")
    assert len(registry.failures()) == 1000
    assert registry.failures_by_family["tasmota"] == 1503


def test_one_dead_sensor_does_not_cost_the_others_their_values() -> None:
    registry = Registry()
    body = b'{"A":{"Temperature":nan,"Humidity":NaN},"B":{"Temperature":10.5,"Humidity":-inf}}'
    assert short(take(registry, "tele/a/SENSOR", body)) == [("B", "temperature", 10.5, "°C")]
    assert registry.failures_by_family == {"tasmota": 1}


class Broken:
    """Another party's decoder, with a fault in every method that may have one."""

    family = "broken"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return topic.startswith("broken/")

    def claims(self, topic: str) -> bool:
        return topic.startswith("broken/")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> list[DeviceState]:
        raise KeyError("observe")

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        raise ZeroDivisionError("decode")


def points(monkeypatch: pytest.MonkeyPatch, *found: EntryPoint) -> None:
    monkeypatch.setattr(families, "entry_points", lambda group: [p for p in found if p.group == group])


def test_families_of_other_packages_are_found_and_their_faults_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    group = families.ENTRY_POINTS
    monkeypatch.setattr(families, "ThirdParty", Broken, raising=False)
    here = "devices.families:ThirdParty"
    names = {"broken": here, "gone": "no.such:Thing", "tasmota": here}
    points(monkeypatch, *(EntryPoint(name, target, group) for name, target in names.items()))
    registry = Registry()
    assert "broken" in registry.families
    assert "gone" not in registry.families
    assert registry.observe("broken/x", b"1", False, NOW) == []
    assert take(registry, "broken/x", b"1") == []
    assert [failure.reason for failure in registry.failures()] == ["fault: ZeroDivisionError: decode"]
    assert registry.failures_by_family == {"broken": 2}
    assert registry.family("tele/a/SENSOR", b"{}") == "tasmota"


def test_availability_is_told_once_a_change_and_shown() -> None:
    registry = Registry()
    assert registry.claims("tele/a/LWT")
    assert not registry.claims("tele/a/SENSOR")
    assert registry.observe("tele/a/LWT", b"Online", True, NOW) == [DeviceState("a", True)]
    assert registry.observe("tele/a/LWT", b"Online", True, NOW + 1) == []
    assert registry.observe("tele/a/LWT", b"Offline", True, NOW + 2) == [DeviceState("a", False)]
    (device,) = registry.devices(NOW + 3)
    assert (device["state"], device["since"]) == ("offline", NOW + 2)


def test_one_device_has_one_identity_whoever_announces_it() -> None:
    registry = Registry()
    described = {
        "tele/a/SENSOR": "tele/a/LWT",
        "my/box/data": "my/box/status",
        "node/sensor/x/state": "node/status",
        "pump/status/switch:0": "pump/online",
    }
    for topic, availability in described.items():
        config = {"stat_t": topic, "avty_t": availability, "dev": {"ids": f"id of {topic}"}}
        registry.observe(CONFIG.replace("node", topic.replace("/", "_")), encode(config), True, NOW)
    assert registry.observe("tele/a/LWT", b"Online", True, NOW) == [DeviceState("a", True)]
    assert registry.observe("my/box/status", b"online", True, NOW) == [DeviceState("id of my/box/data", True)]
    assert registry.observe("node/status", b"online", True, NOW) == [DeviceState("node", True)]
    assert registry.observe("pump/online", b"true", True, NOW) == [DeviceState("pump", True)]
    assert registry.observe("other/box/status", b"online", True, NOW) == [DeviceState("other/box", True)]


def test_a_topic_that_becomes_availability_later_is_claimed_from_then_on() -> None:
    registry = Registry()
    assert not registry.claims("box/alive")
    before = registry.generation
    config = {"stat_t": "box/data", "avty_t": "box/alive", "dev": {"ids": "X"}}
    registry.observe(CONFIG, encode(config), True, NOW)
    assert registry.generation != before
    assert registry.claims("box/alive")
    assert registry.observe("box/alive", b"offline", True, NOW) == [DeviceState("X", False)]


def test_learned_names_are_shown_unless_the_configuration_has_one() -> None:
    registry = Registry()
    registry.observe("homie/car/$name", b"My car", True, NOW)
    take(registry, "homie/car/engine/temperature", "21.5")
    assert [device["name"] for device in registry.devices(NOW)] == ["My car"]


@pytest.mark.parametrize(
    "topic",
    ["zigbee2mqtt/button/action", "home/doorbell", "shellies/i3/input_event/0", "s/events/rpc", "stat/a/RESULT",
     "alarm",
     "rtl_433/host/events", "home/OMG/BTtoMQTT", "spBv1.0/g/NDATA/n", "cam/events", "house/alarms"],
)  # fmt: skip
def test_topics_of_events_and_of_partial_updates_keep_every_message(topic: str) -> None:
    assert Registry().keep_all(topic)


@pytest.mark.parametrize("topic", ["zigbee2mqtt/lamp", "tele/a/SENSOR", "house/alarms/state", "home/OMG/BTtoMQTT/AABB"])
def test_states_keep_their_latest_value_only(topic: str) -> None:
    assert not Registry().keep_all(topic)


def test_a_zigbee_device_with_actions_keeps_every_message() -> None:
    registry = Registry()
    exposes = [{"type": "enum", "property": "action", "access": 1}]
    devices = [{"friendly_name": "remote", "definition": {"exposes": exposes}}]
    assert not registry.keep_all("zigbee2mqtt/remote")
    registry.observe("zigbee2mqtt/bridge/devices", encode(devices), True, NOW)
    assert registry.keep_all("zigbee2mqtt/remote")
    assert not registry.keep_all("zigbee2mqtt/lamp")


def test_a_fleet_of_all_families_is_decoded_without_configuration_or_failure() -> None:
    registry, fleet, start = Registry(), Fleet(seed=3, devices=30), NOW
    decoded = set()
    for publication in [*fleet.births(start), *(item for step in range(60) for item in fleet.step(start + 10 * step))]:
        topic, payload, retained = publication.topic, publication.payload, publication.retain
        if registry.claims(topic):
            registry.observe(topic, payload, retained, start)
        if registry.decode(topic, payload, retained, start):
            decoded.add(registry.family(topic, payload))
    assert registry.failures() == []
    assert decoded >= set(FAMILIES) - {"frigate", "ha_discovery"}


def test_what_is_remembered_of_topics_is_bounded() -> None:
    registry = Registry([Rule("nothing")])
    for number in range(20_500):
        registry.decode(f"t/{number}", b"1", False, NOW)
    assert len(registry._choices) == len(registry._rules._by_topic) == 20_000
    for number in range(160_500):
        registry.claims(f"t/{number}")
    assert len(registry._claims) == 160_000


def test_topics_of_kilobytes_are_decoded_and_not_remembered() -> None:
    registry = Registry([Rule("nothing")])
    long = "L" * 60_000
    for topic, payload in ((f"home/{long}/temperature", b"21.5"), (f"tele/{long}/SENSOR", b'{"AM2301":{"Humidity":5}}'),
                           (f"zigbee2mqtt/{long}", b'{"temperature":1}'), (f"homie/{long}/n/p", b"1")):  # fmt: skip
        assert len(registry.decode(topic, payload, False, NOW)) == 1
        registry.keep_all(topic)
    unreadable = {
        f"homeassistant/sensor/{long}/config": b'{"stat_t":"a"}',
        f"homie/{long}/$homie": b"4",
        f"tele/{long}/LWT": b"Online",
        f"{long}/unit": b"V",
        f"{long}/bridge/devices": b"[]",
        "zigbee2mqtt/bridge/devices": encode([{"friendly_name": long, "definition": {}}]),
    }
    for topic, payload in unreadable.items():
        registry.observe(topic, payload, True, NOW)
    registry.decode(f"{long}/temperature", b"broken", False, NOW)
    held = [registry._choices, registry._claims, registry._keep, registry._rules._by_topic, registry._failures._topics]
    for decoder in (*registry._families.values(), *registry._fallbacks.values()):
        held += [value for value in vars(decoder).values() if isinstance(value, dict)]
    assert max(len(str(key)) for table in held for key in table) < 1000
    assert not list(registry.devices(NOW))
