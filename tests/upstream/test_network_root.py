"""Packets dropped in a network namespace, as root: no RST, no FIN, nothing comes back."""

import subprocess
import time
from collections.abc import Iterator

import pytest
from support.links import Collector, MakeLink
from support.mosquitto import Mosquitto

pytestmark = pytest.mark.slow

SPACE, OUTSIDE, INSIDE = "gateway-test", "10.213.7.1", "10.213.7.2"


def command(line: str) -> None:
    subprocess.run(line.split(), check=True, capture_output=True, text=True)


class FarBroker(Mosquitto):
    """Mosquitto in a network namespace of its own, reached over a veth pair."""

    @property
    def url(self) -> str:
        return f"mqtt://{INSIDE}:{self.port}"

    def command(self) -> list[str]:
        self.config = f"listener {self.port} {INSIDE}"
        return ["ip", "netns", "exec", SPACE, *super().command()]

    def _answers(self) -> bool:
        return "running" in self.log

    def drop(self) -> None:
        """Drop its packets both ways from now on."""
        command(f"ip netns exec {SPACE} nft add table inet fault")
        for chain, port in (("input", "dport"), ("output", "sport")):
            hook = f"{{ type filter hook {chain} priority 0 ; }}"
            command(f"ip netns exec {SPACE} nft add chain inet fault {chain} {hook}")
            command(f"ip netns exec {SPACE} nft add rule inet fault {chain} tcp {port} {self.port} drop")

    def pass_on(self) -> None:
        command(f"ip netns exec {SPACE} nft delete table inet fault")


@pytest.fixture
def far_broker() -> Iterator[FarBroker]:
    command(f"ip netns add {SPACE}")
    try:
        command(f"ip link add gwtest0 type veth peer name gwtest1 netns {SPACE}")
        command(f"ip address add {OUTSIDE}/30 dev gwtest0")
        command("ip link set gwtest0 up")
        command(f"ip netns exec {SPACE} ip address add {INSIDE}/30 dev gwtest1")
        command(f"ip netns exec {SPACE} ip link set gwtest1 up")
        command(f"ip netns exec {SPACE} ip link set lo up")
        with FarBroker() as broker:
            yield broker
    finally:
        # Goes with the namespace too, but only some time later.
        subprocess.run(["ip", "link", "delete", "gwtest0"], check=False)
        command(f"ip netns delete {SPACE}")


@pytest.mark.parametrize("keepalive", [2.0, 6.0])
async def test_a_link_whose_packets_are_dropped_is_found_in_time(
    far_broker: FarBroker, make_link: MakeLink, collector: Collector, keepalive: float
) -> None:
    link = make_link(far_broker.url, keepalive=keepalive)
    await collector.connected()
    far_broker.drop()
    begin = time.monotonic()
    await collector.disconnected(20)
    silent = time.monotonic() - begin
    far_broker.pass_on()
    await collector.connected(20)
    await link.stop()

    assert silent <= keepalive * 1.5 + 1


async def test_also_while_messages_are_being_published(
    far_broker: FarBroker, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(far_broker.url, keepalive=4.0)
    await collector.connected()
    far_broker.drop()
    begin = time.monotonic()
    for number in range(10):
        link.publish("a", b"%d" % number, qos=1, retain=False, done=collector.done)
    await collector.disconnected(20)
    silent = time.monotonic() - begin
    far_broker.pass_on()
    await collector.until(lambda: len(collector.answers) == 10, 20)
    await link.stop()

    assert silent <= 4.0 * 1.5 + 1
    assert collector.answers == [None] * 10
