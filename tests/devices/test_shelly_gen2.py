import pytest
from support.readings import NOW, decode, encode

from devices.reading import DecodeError, DeviceState
from devices.shelly_gen2 import ShellyGen2


def notify(method: str = "NotifyStatus", **components: object) -> bytes:
    params = {name.replace("_", ":"): component for name, component in components.items()}
    return encode({"src": "shelly-1", "method": method, "params": {"ts": 1_767_225_600.5, **params}})


def test_a_notification_holds_what_changed_and_its_own_time() -> None:
    payload = notify(switch_0={"id": 0, "apower": 11.5, "aenergy": {"total": 5.5, "by_minute": [1.0], "minute_ts": 3}})
    readings = ShellyGen2().decode("cellar/pump/events/rpc", payload, False, NOW)
    assert [(r.device, r.channel, r.quantity, r.value, r.unit, r.time) for r in readings] == [
        ("cellar/pump", "switch:0", "power", 11.5, "W", 1_767_225_600.5),
        ("cellar/pump", "switch:0", "energy", 5.5, "Wh", 1_767_225_600.5),
    ]


def test_a_component_topic_is_the_component() -> None:
    body = {"id": 0, "output": True, "voltage": 240.3, "freq": 50.0, "pf": 0.9, "ret_aenergy": {"total": 1.5},
            "temperature": {"tC": 55.0, "tF": 131.0}, "counts": {"on_time": 44340},
     "errors": ["overtemp"]}  # fmt: skip
    assert decode(ShellyGen2(), "shelly-1/status/switch:0", body) == [
        ("switch:0", "switch", True, None),
        ("switch:0", "voltage", 240.3, "V"),
        ("switch:0", "frequency", 50.0, "Hz"),
        ("switch:0", "power_factor", 0.9, None),
        ("switch:0", "energy_returned", 1.5, "Wh"),
        ("switch:0", "temperature", 55.0, "°C"),
    ]


def test_phases_are_channels_of_the_meter() -> None:
    body = {"a_act_power": 33.2, "a_pf": -0.68, "n_current": None, "total_act_power": 40.5, "user_calibrated_phase": []}
    assert decode(ShellyGen2(), "s/status/em:0", body) == [
        ("em:0.a", "power", 33.2, "W"),
        ("em:0.a", "power_factor", -0.68, None),
        ("em:0.total", "power", 40.5, "W"),
    ]
    body = {"a_total_act_energy": 1.5, "a_total_act_ret_energy": 0.5, "total_act": 4.5}
    assert decode(ShellyGen2(), "s/status/emdata:0", body) == [
        ("emdata:0.a", "energy", 1.5, "Wh"),
        ("emdata:0.a", "energy_returned", 0.5, "Wh"),
        ("emdata:0.total", "energy", 4.5, "Wh"),
    ]


@pytest.mark.parametrize(
    ("component", "body", "expected"),
    [
        ("temperature:100", {"id": 100, "tC": None, "tF": None, "errors": ["read"]}, []),
        ("humidity:0", {"rh": 57.6}, [("humidity:0", "humidity", 57.6, "%")]),
        ("input:0", {"state": False}, [("input:0", "input", False, None)]),
        ("flood:0", {"alarm": True}, [("flood:0", "water_leak", True, None)]),
        ("smoke:0", {"alarm": False, "mute": False}, [("smoke:0", "smoke", False, None)]),
        ("wifi", {"rssi": -60, "ssid": "x"}, [("wifi", "signal_strength", -60, "dBm")]),
        ("voltmeter:100", {"voltage": 12.86, "xvoltage": None}, [("voltmeter:100", "voltage", 12.86, "V")]),
        (
            "devicepower:0",
            {"battery": {"V": 5.5, "percent": 90}},
            [("devicepower:0", "battery", 90, "%"), ("devicepower:0", "voltage", 5.5, "V")],
        ),
        ("boolean:200", {"value": True}, [("boolean:200", "value", True, None)]),
    ],
)
def test_components_by_their_kind(component: str, body: object, expected: list[object]) -> None:
    assert decode(ShellyGen2(), f"s/status/{component}", body) == expected


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("s/events/rpc", notify("Shelly.Other", switch_0={"apower": 1})),
     ("s/events/rpc", notify("NotifyEvent", events=[{"event": "single_push"}])), ("s/events/rpc", b'{"method":"x"}'),
     ("s/rpc", b'{"id":1,"src":"s","result":{"temperature:0":{"offset_C":0.5}}}'), ("s/command/switch:0", b"on"),
     ("s/events/rpc", b""), ("s/status/switch:0", b"")],
)  # fmt: skip
def test_events_answers_and_commands_are_no_readings(topic: str, payload: bytes) -> None:
    assert ShellyGen2().decode(topic, payload, False, NOW) == []


def test_the_family_is_known_by_its_topics() -> None:
    decoder = ShellyGen2()
    for topic, payload in (("a/b/events/rpc", b"{}"), ("a/status/switch:0", b"{}"), ("a/status/sys", b"{}"),
                           ("a/command/switch:0", b"on"), ("a/rpc", b'{"src":"s"}')):  # fmt: skip
        assert decoder.recognises(topic, payload), topic
    for topic, payload in (
        ("a/status/kitchen", b"{}"),
        ("a/status", b"{}"),
        ("a/rpc", b"{}"),
        ("a/status/switch:0", b"1"),
    ):
        assert not decoder.recognises(topic, payload), topic


def test_a_prefix_below_shellies_is_dropped() -> None:
    (reading,) = ShellyGen2().decode("shellies/ht/status/temperature:0", b'{"tC":22.5}', False, NOW)
    assert reading.device == "ht"


@pytest.mark.parametrize("payload", [b"{", b"[]", b"on", b"\xff"])
def test_a_broken_document_is_an_error(payload: bytes) -> None:
    for topic in ("s/events/rpc", "s/status/switch:0"):
        with pytest.raises(DecodeError):
            ShellyGen2().decode(topic, payload, False, NOW)


def test_online_is_availability_and_only_true_and_false_count() -> None:
    decoder = ShellyGen2()
    assert decoder.claims("cellar/pump/online")
    assert not decoder.claims("shellies/x/online")
    assert decoder.observe("cellar/pump/online", b"true", True, NOW) == (DeviceState("cellar/pump", True),)
    assert decoder.observe("cellar/pump/online", b"1", True, NOW) == ()
