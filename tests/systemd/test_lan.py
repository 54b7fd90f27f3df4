"""From the package to a page that is signed in, on another machine of the network."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.browser import chromium
from support.machine import Machine
from support.netns import Neighbour

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LIMIT = 180.0
BROKER = "mqtt://127.0.0.1:1883"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """The machine outlives a test; it is ended with the module."""


def test_two_commands_from_the_package_to_a_page_elsewhere(machine: Machine, tmp_path: Path) -> None:
    """A newcomer has three minutes: the package, `init --lan`, `systemctl enable --now`, the link that is printed."""
    with Neighbour(machine.leader) as neighbour:
        machine.run("systemd-run --unit=broker /usr/sbin/mosquitto -p 1883")
        begun = time.monotonic()
        machine.run("dpkg -i /root/gateway.deb")
        machine.run(f"systemd-run --unit=sensors sensor-gateway simulate --url {BROKER} --devices 4 --rate 5")
        told = machine.tell("sensor-gateway init --lan")
        machine.run("systemctl enable --now sensor-gateway")
        link = next(each for each in re.findall(r"https://\S+", told) if f"//{neighbour.here}:" in each)

        # The authority that the phones are told to trust vouches for the address.
        authority = tmp_path / "ca.pem"
        authority.write_bytes((machine.root / "etc/sensor-gateway/tls/ca.pem").read_bytes())
        address = link.partition("#")[0]
        assert neighbour.run("curl", "-sS", "--cacert", str(authority), f"{address}healthz") == "ok\n"
        refused = neighbour.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(authority),
                                f"{address}api/topics")  # fmt: skip
        assert refused == "401"

        program = neighbour.program(tmp_path / "chromium", "chromium")
        with chromium(str(program)) as browser:
            page = browser.new_context(ignore_https_errors=True, locale="en-GB").new_page()
            page.goto(link)
            expect(page.get_by_role("article").first).to_be_visible(timeout=30_000)
            took = time.monotonic() - begun
            assert "token" not in page.url
            page.goto(address)
        assert took < LIMIT, f"{took:.0f} s"
        assert neighbour.address in machine.until("journalctl -u sensor-gateway GATEWAY_FROM=audit", "sign-in")
