"""The configurations of Home Assistant's discovery as they are written: abbreviations, "~", plain paths.

Sources: home-assistant.io "MQTT discovery", the list of abbreviations. A value template is never evaluated: only a
plain path into `value_json` (or `value` itself) is understood.
"""

import re

from devices.bounded import MAX_KEY

_SHORT = {
    "stat_t": "state_topic", "val_tpl": "value_template", "unit_of_meas": "unit_of_measurement",
    "dev_cla": "device_class", "uniq_id": "unique_id", "obj_id": "object_id", "pl_on": "payload_on",
    "pl_off": "payload_off", "stat_on": "state_on", "stat_off": "state_off",
    "dev": "device", "avty_t": "availability_topic", "avty": "availability",
    "pl_avail": "payload_available", "pl_not_avail": "payload_not_available", "cmps": "components", "p": "platform",
}  # fmt: skip
COMPONENTS = frozenset({
    "sensor", "binary_sensor", "switch", "light", "number", "select", "button", "text", "climate", "cover", "fan",
    "lock", "update", "event", "device_tracker", "device_automation", "camera", "image", "alarm_control_panel", "tag",
    "humidifier", "vacuum", "valve", "siren", "scene", "water_heater", "lawn_mower", "device", "notify",
})  # fmt: skip
_TEMPLATE = re.compile(
    r"\s*\{\{-?\s*(value_json|value)((?:\.[A-Za-z_]\w*|\[\s*(?:'[^'\\\]]*'|\"[^\"\\\]]*\"|\d{1,4})\s*\])*)"
    r"\s*(?:\|\s*(?:float|is_defined)\s*)*-?\}\}\s*",
    re.ASCII,
)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[\s*(?:'([^']*)'|\"([^\"]*)\"|(\d+))\s*\]", re.ASCII)


def is_config(topic: str) -> bool:
    """Whether a topic carries a configuration: `<prefix>/<component>/[<node>/]<object>/config`."""
    if not topic.endswith("/config"):
        return False
    levels = topic.split("/")
    return len(levels) >= 4 and (levels[-3] in COMPONENTS or (len(levels) > 4 and levels[-4] in COMPONENTS))


def written_out(config: dict[str, object]) -> dict[str, object]:
    """The configuration with abbreviated keys written out; full and short ones may be mixed."""
    return {_SHORT.get(key, key): value for key, value in config.items()}


def expand(topic: object, base: object) -> str | None:
    """A topic with "~" at either end replaced by the base topic; None for what is no topic."""
    if not isinstance(topic, str) or len(topic) > MAX_KEY:
        return None
    if isinstance(base, str) and len(base) <= MAX_KEY:
        if topic.startswith("~"):
            topic = base + topic[1:]
        if topic.endswith("~"):
            topic = topic[:-1] + base
    return topic


def plain_path(template: object) -> tuple[str | int, ...] | None:
    """The plain path that a template is, () without one or for `value`; None for anything that needs evaluation."""
    if template is None or template == "":
        return ()
    if not isinstance(template, str) or len(template) > 256:
        return None
    found = _TEMPLATE.fullmatch(template)
    if found is None or (found[1] == "value" and found[2]):
        return None
    steps: list[str | int] = []
    for dotted, single, double, index in _STEP.findall(found[2]):
        steps.append(int(index) if index else dotted or single or double)
    if found[1] == "value_json" and not steps:
        return None
    return tuple(steps)


def follow(document: object, path: tuple[str | int, ...]) -> object:
    """What a path leads to, None where it leads nowhere."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document
