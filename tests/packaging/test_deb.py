"""The Debian package in a root of its own that has nothing but Debian in it. Needs root and a Debian mirror."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]


class Debian:
    """A debootstrap root; `run` is a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--net", "--fork", "/bin/sh", "-c"),
                'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"',
                *(str(self.folder), command),
            ],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )

    def tell(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run([sys.executable, ROOT / "debian/build.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.deb"))


@pytest.fixture(scope="module")
def debian(package: Path) -> Iterator[Debian]:
    with tempfile.TemporaryDirectory(prefix="debian-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "root"
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3,systemd", "bookworm", folder],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        (folder / "root/gateway.deb").write_bytes(package.read_bytes())
        yield Debian(folder)


def test_it_belongs_to_one_python(package: Path) -> None:
    depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
    major, minor = sys.version_info[:2]
    assert f"python3 (>= {major}.{minor}~)" in depends
    assert f"python3 (<< {major}.{minor + 1})" in depends


def test_a_clean_root_runs_upgrades_and_forgets_it(debian: Debian) -> None:
    debian.tell("dpkg -i /root/gateway.deb")
    assert re.fullmatch(r"sensor-gateway, version \S+", debian.tell("sensor-gateway --version"))
    assert "wrote /etc/sensor-gateway/config.toml" in debian.tell("sensor-gateway init --lan")
    assert debian.tell("sensor-gateway check") == "ok"
    assert debian.tell("stat -c %U:%G:%a /etc/sensor-gateway/tls") == "root:sensor-gateway:750"
    assert debian.tell("stat -c %U /var/lib/sensor-gateway/tokens.json") == "sensor-gateway"
    debian.tell("test -f /usr/lib/systemd/system/sensor-gateway.socket")
    debian.tell("test -f /usr/share/doc/sensor-gateway/examples/config.example.toml")
    completed = "COMP_WORDS='sensor-gateway certi' COMP_CWORD=1 _SENSOR_GATEWAY_COMPLETE=bash_complete sensor-gateway"
    assert debian.tell(completed) == "plain,certificate"
    debian.tell("bash -n /usr/share/bash-completion/completions/sensor-gateway")

    # It runs, as the user that the service has: READY's other face is that it answers.
    script = (
        "import fcntl,socket,ssl,struct,subprocess,time\n"
        # Loopback up (netdevice(7)): there is no `ip` in a minimal root.
        "fcntl.ioctl(socket.socket(),0x8914,struct.pack('16sh14x',b'lo',0x41))\n"
        "p=subprocess.Popen(['setpriv','--reuid=sensor-gateway','--regid=sensor-gateway','--init-groups',"
        "'sensor-gateway','run'])\n"
        "for _ in range(100):\n"
        "    try: s=socket.create_connection(('127.0.0.1',8443)); break\n"
        "    except OSError: time.sleep(0.1)\n"
        "s=ssl.create_default_context(cafile='/etc/sensor-gateway/tls/ca.pem').wrap_socket(s,server_hostname='localhost')\n"
        "s.sendall(b'GET / HTTP/1.1\\r\\nHost: localhost:8443\\r\\n\\r\\n')\n"
        "print(s.recv(99)[:15].decode()); p.terminate(); print(p.wait(20))\n"
    )
    (debian.folder / "root/run.py").write_text(script)
    assert debian.tell("python3 /root/run.py").split("\n") == ["HTTP/1.1 200 OK", "0"]

    debian.tell("dpkg -i /root/gateway.deb")
    assert debian.tell("sensor-gateway check") == "ok"
    debian.tell("dpkg --purge sensor-gateway")
    left = debian.tell(
        "find / -xdev -path /proc -prune -o -name '*sensor-gateway*' -print | grep -v /var/lib/dpkg || true"
    )
    assert left == ""
