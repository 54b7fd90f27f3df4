import pytest
from support.readings import NOW, decode, encode

from devices.ha_discovery import HomeAssistantDiscovery
from devices.reading import DecodeError, DeviceState


def heard(*configs: tuple[str, object]) -> HomeAssistantDiscovery:
    decoder = HomeAssistantDiscovery()
    for topic, config in configs:
        assert decoder.claims(topic)
        decoder.observe(topic, encode(config), True, NOW)
    return decoder


def test_entities_that_share_a_topic_are_told_apart_by_their_paths() -> None:
    shared = {"stat_t": "boiler/data", "dev": {"ids": ["ems", "other"], "name": "Boiler"}}
    decoder = heard(
        ("homeassistant/sensor/ems/t/config", {**shared, "val_tpl": "{{value_json['a']['t x']}}", "unit_of_meas": "°C",
                                               "dev_cla": "temperature"}),
        ("homeassistant/sensor/ems/p/config", {**shared, "val_tpl": "{{ value_json.b[1] | float }}",
                                               "unit_of_meas": "bar", "dev_cla": "pressure"}),
    )  # fmt: skip
    readings = decoder.decode("boiler/data", encode({"a": {"t x": 27.5}, "b": [0, "1.5"], "c": 9}), False, NOW)
    assert [(r.device, r.channel, r.quantity, r.value, r.unit) for r in readings] == [
        ("ems", "t", "temperature", 27.5, "°C"),
        ("ems", "p", "pressure", 1.5, "bar"),
    ]
    assert decoder.names == {"ems": "Boiler"}


@pytest.mark.parametrize(
    "template",
    ["{{ value | float * 1000 }}", "{{ value_json.a + 1 }}", "{{ states('sensor.x') }}",
     "{% if 1 %}{{ value }}{% endif %}",
     "{{ ''.__class__.__mro__ }}", "{{ value_json.a() }}", "{{ value_json | int }}", "{{ value_json.a|round(1) }}", 5,
     "{{ value_json.a }} x", "{{ value.a }}", "{{" * 20_000],
)  # fmt: skip
def test_a_template_that_is_more_than_a_path_is_never_evaluated(template: object) -> None:
    decoder = heard(("homeassistant/sensor/x/config", {"state_topic": "x/y", "value_template": template}))
    assert decoder.recognises("x/y", b"{}")
    assert decode(decoder, "x/y", {"a": 1}) == []


def test_a_binary_sensor_compares_with_its_payloads() -> None:
    decoder = heard(
        ("homeassistant/binary_sensor/a/config", {"state_topic": "a", "device_class": "door"}),
        ("homeassistant/binary_sensor/b/config", {"state_topic": "b", "pl_on": "1", "pl_off": "0",
     "dev_cla": "motion"}),
        ("homeassistant/binary_sensor/c/config", {"stat_t": "c", "val_tpl": "{{ value_json.x }}",
     "pl_on": True, "pl_off": False}),
    )  # fmt: skip
    assert decode(decoder, "a", "ON") == [("a", "opening", True, None)]
    assert decode(decoder, "a", "open") == []
    assert decode(decoder, "b", "0") == [("b", "motion", False, None)]
    assert decode(decoder, "c", {"x": True}) == [("c", "x", True, None)]


def test_a_switch_tells_its_states_from_its_commands() -> None:
    config = {
        "stat_t": "s",
        "val_tpl": "{{ value_json.output }}",
        "pl_on": '{"on":1}',
        "stat_on": "true",
        "stat_off": "false",
    }
    decoder = heard(("homeassistant/switch/pump/config", config))
    assert decode(decoder, "s", {"output": True}) == [("pump", "switch", True, None)]
    assert decode(decoder, "s", {"output": False}) == [("pump", "switch", False, None)]


def test_the_unit_names_a_quantity_without_a_class_and_a_blank_unit_is_none() -> None:
    decoder = heard(
        (
            "homeassistant/sensor/inv/Battery/config",
            {"state_topic": "v", "unit_of_meas": "V", "device": {"ids": "100"}},
        ),
        ("homeassistant/sensor/inv/Count/config", {"state_topic": "n", "unit_of_meas": " ", "device": {"ids": 7}}),
    )
    assert decode(decoder, "v", "52.3") == [("Battery", "voltage", 52.3, "V")]
    assert decode(decoder, "n", "3") == [("Count", "count", 3, None)]
    assert decode(decoder, "n", "unavailable") == []


def test_a_tilde_stands_for_the_base_topic_at_either_end() -> None:
    decoder = heard(
        ("homeassistant/sensor/a/config", {"~": "home/a", "stat_t": "~/state"}),
        ("homeassistant/sensor/b/config", {"~": "home/b", "stat_t": "state/~"}),
    )
    assert set(decoder.entities) == {"home/a/state", "state/home/b"}


def test_the_device_form_holds_many_components_and_removes_those_left_with_their_platform() -> None:
    topic = "homeassistant/device/0AFF/config"
    config = {"dev": {"ids": "0AFF"}, "state_topic": "bed/state",
              "cmps": {"t": {"p": "sensor", "device_class": "temperature", "value_template": "{{ value_json.t }}"},
                       "h": {"p": "sensor", "device_class": "humidity",
     "value_template": "{{ value_json.h }}"}}}  # fmt: skip
    decoder = heard((topic, config))
    assert [reading[1] for reading in decode(decoder, "bed/state", {"t": 1, "h": 2})] == ["temperature", "humidity"]
    config["cmps"] = {"t": {"p": "sensor", "value_template": "{{ value_json.t }}"}, "h": {"p": "sensor"}}
    decoder.observe(topic, encode(config), True, NOW)
    assert [reading[0] for reading in decode(decoder, "bed/state", {"t": 1, "h": 2})] == ["t"]
    before = decoder.generation
    decoder.observe(topic, b"", True, NOW)
    assert not decoder.recognises("bed/state", b"{}")
    assert decoder.generation > before


def test_availability_topics_of_entities_tell_the_device_state() -> None:
    decoder = heard(
        ("homeassistant/sensor/a/config", {"stat_t": "a", "avty_t": "a/alive", "pl_avail": "yes!",
     "pl_not_avail": "no!",
                                           "dev": {"ids": "A"}}),
        ("homeassistant/sensor/b/config", {"stat_t": "b", "availability": [{"topic": "z/bridge/state"},
     {"topic": "b/up"}],
                                           "dev": {"ids": "B"}}),
    )  # fmt: skip
    assert decoder.claims("a/alive")
    assert not decoder.claims("z/bridge/state")
    assert decoder.observe("a/alive", b"no!", True, NOW) == (DeviceState("A", False),)
    assert decoder.observe("b/up", b"online", True, NOW) == (DeviceState("B", True),)
    assert decoder.observe("homeassistant/status", b"online", False, NOW) == (DeviceState("homeassistant", True),)


@pytest.mark.parametrize(
    "payload",
    [b'{"name":"Broken"', b"[]", b'{"state_topic":"#"}', b'{"state_topic":"a/+/b"}', b'{"stat_t":""}', b"x" * 300_000],
)
def test_a_wrong_configuration_is_an_error_and_leaves_nothing_behind(payload: bytes) -> None:
    decoder = HomeAssistantDiscovery()
    with pytest.raises(DecodeError):
        decoder.observe("homeassistant/sensor/evil/config", payload, True, NOW)
    assert decoder.entities == {}


def test_config_topics_are_those_with_a_component() -> None:
    decoder = HomeAssistantDiscovery()
    for topic in ("homeassistant/sensor/a/config", "hass/prefix/binary_sensor/node/a/config", "ha/device/x/config"):
        assert decoder.claims(topic), topic
    for topic in ("app/config", "my/app/config", "a/b/c/config", "homeassistant/sensor/a/state"):
        assert not decoder.claims(topic), topic


def test_what_is_discovered_is_bounded() -> None:
    decoder = HomeAssistantDiscovery()
    for number in range(5100):
        config = encode(
            {"state_topic": f"t/{number}", "dev": {"ids": f"d{number}", "name": "n"}, "avty_t": f"a/{number}"}
        )
        decoder.observe(f"homeassistant/sensor/s{number}/config", config, True, NOW)
    for number in range(200):
        decoder.observe(f"homeassistant/sensor/x{number}/config", encode({"state_topic": "shared"}), True, NOW)
    assert len(decoder.entities) == len(decoder.names) == len(decoder._sources) == len(decoder._availability) == 5000
    assert len(decoder.entities["shared"]) == 128


def test_units_on_which_entities_disagree_are_not_told() -> None:
    decoder = heard(
        ("homeassistant/sensor/a/config", {"stat_t": "x", "val_tpl": "{{ value_json.a }}", "dev_cla": "power",
     "unit_of_meas": "W"}),
        ("homeassistant/sensor/b/config", {"stat_t": "x", "val_tpl": "{{ value_json.b }}", "dev_cla": "power",
     "unit_of_meas": "kW"}),
        ("homeassistant/sensor/c/config", {"stat_t": "x", "val_tpl": "{{ value_json.c }}", "unit_of_meas": "V"}),
    )  # fmt: skip
    assert decoder.units("x") == {"voltage": "V"}
    assert decoder.plain("x") is None
