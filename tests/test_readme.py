"""What the README shows works as it stands there."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher

from gateway.cli import main
from gateway.commands.certificates import make_self_signed
from gateway.config import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/README.md", "docs/protocol.md", "benchmarks/README.md"]


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return text


def test_its_configuration_is_accepted(tmp_path: Path) -> None:
    for folder in ("secrets", "tls"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secrets/mqtt").write_text("secret")
    make_self_signed(tmp_path / "tls", ["localhost"])
    file = tmp_path / "config.toml"
    file.write_text(block("toml"))
    config = load(file)
    assert [listen.port for listen in config.listen] == [8443]
    assert [topic.filter for topic in config.upstream[0].topics] == ["sensors/#", "zigbee2mqtt/#"]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"sensor-gateway (\w+)", README))))
def test_a_command_that_it_names_is_there(command: str) -> None:
    assert command in main.commands


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([\w-]+)", README))))
def test_a_make_target_that_it_names_is_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_its_program_prints_what_sensors_say(gateway: Callable[[str], Daemon], mosquitto: Mosquitto) -> None:
    daemon = gateway(f'[[upstream]]\nurls = ["{mosquitto.url}"]\n')
    with MqttPublisher(mosquitto.port) as sensor:
        sensor.publish("sensors/boiler/temperature", '{"value":61.5}', retain=True)
    program = block("python").replace("127.0.0.1:8880", f"127.0.0.1:{daemon.port}")
    with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sensors/boiler/temperature {'value': 61.5}\n"
        process.kill()
