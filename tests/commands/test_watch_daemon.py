"""`watch` against the real daemon and a real broker, over a restart of each."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import IO

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher


def line_with(stream: IO[str] | None, wanted: str) -> str:
    """The next line that `wanted` is found in; the test's time limit is the limit."""
    assert stream is not None
    for line in stream:
        if re.search(wanted, line):
            return line
    raise AssertionError(f"ended without {wanted!r}")


@pytest.mark.slow
def test_it_comes_back_by_itself_and_says_what_happened(gateway: Callable[[str], Daemon], mosquitto: Mosquitto) -> None:
    daemon = gateway(
        f'[gateway]\nstate_dir = "{{folder}}"\ndrain = "0s"\n[[upstream]]\nname = "plant"\nurls = ["{mosquitto.url}"]\n'
        '[upstream.backoff]\nmin = "50ms"\nmax = "200ms"\n'
    )
    command = [sys.executable, "-m", "gateway", "watch", "sensors/#", "--url", daemon.url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "TZ": "UTC"}
    ) as watch:
        line_with(watch.stdout, "connected to .* as viewer")
        with MqttPublisher(mosquitto.port) as sensor:
            sensor.publish("sensors/boiler", "61.5", retain=True)
        assert re.fullmatch(r"(\d\d:){2}\d\d\.\d{3} sensors/boiler 61\.5\n", line_with(watch.stdout, "boiler"))

        mosquitto.kill()
        line_with(watch.stdout, "upstream plant (waiting|connecting)")
        mosquitto.start()
        line_with(watch.stdout, "upstream plant connected")

        daemon.stop()
        line_with(watch.stdout, "closed: 1001 .*; trying again")
        daemon.start()
        line_with(watch.stdout, "connected to .* as viewer")
        with MqttPublisher(mosquitto.port) as sensor:
            sensor.publish("sensors/boiler", "62.5")
        line_with(watch.stdout, r" sensors/boiler 62\.5")

        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
