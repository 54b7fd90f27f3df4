"""The package under a systemd that reloads by notify-reload (254, of bookworm-backports)."""

import pytest
from support.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNIT = "sensor-gateway"
PIECE = "/etc/sensor-gateway/conf.d/a.toml"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """The machine outlives a test; it is ended with the module."""


def test_the_package_lets_systemd_itself_wait_for_a_reload(newer: Machine) -> None:
    assert int(newer.tell("systemctl --version").split()[1]) >= 253
    newer.run("dpkg -i /root/gateway.deb && sensor-gateway init --lan")
    newer.run(f"systemctl enable --now {UNIT}")
    assert newer.show(UNIT, "Type") == "notify-reload"
    assert newer.tell(f"systemd-analyze verify --man=no {UNIT}.service {UNIT}.socket 2>&1") == ""
    before = newer.show(UNIT, "MainPID")
    for limits, taken in (("subscriptions = 7", True), ("subscription = 7", False), ("subscriptions = 8", True)):
        newer.run(f"printf '[limits]\\n{limits}\\n' > {PIECE}")
        done = newer.run(f"systemctl reload {UNIT}", check=False)
        # Back only when it is over, and so with the words of this reload in the status.
        words = newer.show(UNIT, "StatusText")
        assert (done.returncode == 0) is taken, words
        assert ("RELOAD REFUSED" in words) is not taken
        assert newer.show(UNIT, "ActiveState") == "active"
    assert newer.show(UNIT, "MainPID") == before


def test_no_newer_systemd_finds_a_hole_that_was_closed(newer: Machine) -> None:
    told = newer.tell(f"systemd-analyze security --no-pager {UNIT} | tail -n 1")
    assert float(told.partition(": ")[2].split()[0]) <= 1.2


def test_a_purge_takes_the_drop_ins_along(newer: Machine) -> None:
    newer.run("dpkg --purge sensor-gateway")
    assert newer.tell("find /usr/lib/systemd /etc/systemd -name '*sensor-gateway*'") == ""
