"""Numbers of the past in Node against the real gateway, over either transport."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher

SCRIPT = Path(__file__).parent / "history.js"
ROLE = '[[role]]\nname = "viewer"\nsubscribe = ["t/#"]\n'


@pytest.mark.parametrize("options", [(), ("--events",)], ids=["websocket", "events"])
def test_numbers_of_the_past_come_over_either_transport(
    node: str, mosquitto: Mosquitto, gateway: Callable[[str], Daemon], options: tuple[str, ...]
) -> None:
    """Over Server-Sent Events client.js asked at /api/history, where nothing answered."""
    daemon = gateway(f'[[upstream]]\nurls = ["{mosquitto.url}"]\n{ROLE}')
    daemon.await_broker()
    with Publisher(mosquitto.port) as publisher:
        for number in (20.5, 23, 21):
            publisher.publish("t/a", {"value": number})
    span = {"from": 0, "to": 9_999_999_999}
    questions = [
        {"topic": "t/a", "path": "value", "points": 1, **span},
        {"topic": "elsewhere", **span},
        {"topic": "t/a", "from": 2, "to": 1},
        {"device": "nobody", "quantity": "temperature", **span},
    ]
    asked = [node, str(SCRIPT), str(daemon.port), json.dumps(questions), *options]
    found, *refused = json.loads(subprocess.run(asked, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    [row] = found["series"]
    assert (row[1:], found["complete"]) == ([20.5, 23, 21], True)
    assert [each["code"] for each in refused] == ["forbidden", "unsupported", "no-history"]
