"""What systemd itself says of the units, without running them."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE = 1.2


def without(text: str, *names: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("#", *names))]


def test_the_template_says_what_the_service_says() -> None:
    service = (UNITS / "sensor-gateway.service").read_text()
    template = (UNITS / "sensor-gateway@.service").read_text()
    own = ("Description=", "ExecStart=", "ExecReload=", "StateDirectory=", "RuntimeDirectory=")
    assert without(template, *own) == without(service, *own)
    assert "--config /etc/sensor-gateway/%i.toml" in template


def test_nothing_ends_the_restarts_but_a_wrong_configuration() -> None:
    service = (UNITS / "sensor-gateway.service").read_text().splitlines()
    for line in (
        "StartLimitIntervalSec=0",
        "Restart=on-failure",
        "RestartPreventExitStatus=78",
        "WatchdogSec=60",
        "Type=notify",
        "User=sensor-gateway",
    ):
        assert line in service


@pytest.mark.parametrize("unit", ["sensor-gateway.service", "sensor-gateway@.service"])
def test_the_units_are_closed_up(unit: str) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(UNITS / unit)], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", told.stdout)
    assert found is not None, told.stderr
    assert float(found[1]) <= EXPOSURE


def test_the_units_verify(tmp_path: Path) -> None:
    for source in UNITS.glob("sensor-gateway*.s*"):
        if source.suffix in (".service", ".socket"):
            # The command is where the package puts it: here any program stands in for it.
            (tmp_path / source.name).write_text(source.read_text().replace("/usr/bin/sensor-gateway", "/bin/true"))
    units = [*sorted(tmp_path.glob("*.service")), *sorted(tmp_path.glob("*.socket"))]
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[str(unit).replace("@.", "@one.") for unit in units]],
        capture_output=True,
        text=True,
    )
    ours = [line for line in told.stderr.splitlines() if "sensor-gateway" in line and "credentials" not in line]
    assert told.returncode == 0
    assert ours == []


def test_the_drop_in_for_newer_systemd_says_what_it_is_meant_for(tmp_path: Path) -> None:
    """From 253 on systemd takes it; one that is older complains of that type and of nothing else."""
    service = (UNITS / "sensor-gateway.service").read_text().replace("/usr/bin/sensor-gateway", "/bin/true")
    (tmp_path / "sensor-gateway.service").write_text(service)
    folder = tmp_path / "sensor-gateway.service.d"
    folder.mkdir()
    (folder / "10-notify-reload.conf").write_text((UNITS / "drop-ins/10-notify-reload.conf").read_text())
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "sensor-gateway.service")],
        capture_output=True,
        text=True,
    )
    version = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout
    old = int(version.split()[1]) < 253
    complaints = [line for line in told.stderr.splitlines() if "sensor-gateway" in line]
    assert told.returncode == 0
    assert [line.rpartition(": ")[0].rpartition(":")[2] for line in complaints] == (
        [" Failed to parse service type, ignoring"] if old else []
    )
