"""The device families, in the order in which they are asked, and those that other packages bring."""

import logging
from importlib import import_module
from importlib.metadata import entry_points

from devices.reading import Decoder

ENTRY_POINTS = "sensor_gateway.devices"

# Order decides: what a topic says for certain comes before what a payload's shape suggests.
FAMILIES: dict[str, str] = {
    "sparkplug": "devices.sparkplug:Sparkplug",
    "tts": "devices.tts:TheThingsStack",
    "chirpstack": "devices.chirpstack:ChirpStack",
    "shelly_gen2": "devices.shelly_gen2:ShellyGen2",
    "shelly_gen1": "devices.shelly_gen1:ShellyGen1",
    "tasmota": "devices.tasmota:Tasmota",
    "zigbee2mqtt": "devices.zigbee2mqtt:Zigbee2Mqtt",
    "homie": "devices.homie:Homie",
    "owntracks": "devices.owntracks:OwnTracks",
    "frigate": "devices.frigate:Frigate",
    "theengs": "devices.theengs:Theengs",
    "ruuvi": "devices.ruuvi:Ruuvi",
    "rtl_433": "devices.rtl433:Rtl433",
    "senml": "devices.senml:Senml",
    "esphome": "devices.esphome:EspHome",
    "ha_discovery": "devices.ha_discovery:HomeAssistantDiscovery",
}
FALLBACKS: dict[str, str] = {
    "json": "devices.generic:Json",
    "binary": "devices.binary:Binary",
    "scalar": "devices.generic:Scalar",
}

_log = logging.getLogger("sensor_gateway.devices")


def load(target: str) -> Decoder:
    """A decoder by its `module:Class`."""
    module, _, name = target.partition(":")
    decoder: Decoder = getattr(import_module(module), name)()
    return decoder


def third_party(taken: set[str]) -> dict[str, Decoder]:
    """Families of other packages by name; one whose name is taken, or that cannot be loaded, is left out."""
    found: dict[str, Decoder] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in taken:
            _log.warning("family %s of %s is left out: the name is taken", point.name, point.value)
            continue
        try:
            found[point.name] = point.load()()
        except Exception as error:  # other people's code: it must not keep the gateway from starting
            _log.warning("family %s of %s is left out: %s", point.name, point.value, error)
    return found
