"""An edge box: 50 messages a second, five viewers over TLS and the page open (design: workload I)."""

import selectors
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from playwright.sync_api import expect
from support.browser import chromium
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.processes import Process
from support.publisher import Publisher

from gateway.pulse import BEAT

VIEWERS = 5
RATE = 50.0
SECONDS = 60.0
MOST = 45 * 1024**2
SHARE = 0.01  # of a core
TIMES = 1.5  # what a bare loop takes for the sockets, where that alone comes near the share
PROMPT = 6.0  # the same, for a gateway that sends every message as it comes
LINGER = 0.2  # seconds, as init writes it
OTHERS = 10.0  # wake-ups a second, for timers and the page
READY = 1.0  # seconds
MARK = b'"type":"message"'
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"  # RFC 6455, 5.5: without a payload


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def busy(pid: int) -> float:
    """Seconds that a process has been on a processor, to the nanosecond (schedstat, in all its threads)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def shares(pids: Sequence[int], seconds: float) -> list[float]:
    """The share of a core that each takes in the next `seconds`."""
    before, begun = [busy(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)  # this is the measurement
    return [(busy(pid) - then) / (time.monotonic() - begun) for pid, then in zip(pids, before, strict=True)]


def sleeps(pid: int) -> int:
    """How often a process has gone to sleep, in all its threads (proc(5), voluntary_ctxt_switches)."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in texts)


class Viewers:
    """WebSocket clients over TLS in one thread; counts each one's messages without parsing them."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.counts = [0] * VIEWERS
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._open(port, context, number) for number in range(VIEWERS)]
        self._thread = threading.Thread(target=self._run)

    def _open(self, port: int, context: ssl.SSLContext, number: int) -> ssl.SSLSocket:
        sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 20), server_hostname="localhost")
        sock.sendall(
            f"GET /stream?topic=%23 HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, number)
        return sock

    def _run(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.5):
                try:
                    data = self._sockets[key.data].recv(65536)
                except ssl.SSLWantReadError:
                    continue
                if PING in data:
                    self._sockets[key.data].sendall(PONG)
                self.counts[key.data] += data.count(MARK)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._selector.close()
        for sock in self._sockets:
            sock.close()


class Bare(Process):
    """The bare loop in the gateway's place."""

    def __init__(self, broker: Mosquitto, certificate: Any) -> None:
        super().__init__(None)
        self._broker = broker
        self._certificate = certificate

    def command(self) -> Sequence[str]:
        program = Path(__file__).parents[1] / "support/barewire.py"
        files = str(self._certificate.certificate), str(self._certificate.key)
        return [sys.executable, str(program), str(self.port), str(self._broker.port), *files, str(VIEWERS)]


def reading(number: int) -> tuple[str, dict[str, float]]:
    return f"sensors/dev{number % 50}/state", {"temperature": 20 + number % 10, "humidity": 50}


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(300)
def test_what_an_edge_box_spends(gateway: Callable[[str], Daemon], mosquitto: Mosquitto, certificate: Any) -> None:
    """A sleeping core pays for every wake-up, on some machines a percent for the bare sockets alone. So a bare loop
    serves as many beside the gateways, in the same minute: what else the machine does meets all three."""
    settings = f"""urls = ["{mosquitto.url}"]
[[listen]]
port = {{port}}
tls = {{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}
"""
    prompt = gateway(f'[[upstream]]\nname = "prompt"\n{settings}')
    patient = gateway(f'[[upstream]]\nname = "patient"\nlinger = "{LINGER:g}s"\n{settings}')
    context = ssl.create_default_context(cafile=str(certificate.ca))
    with Publisher(mosquitto.port) as publisher, publisher.rhythm(RATE, reading), ExitStack() as stack:
        bare = stack.enter_context(Bare(mosquitto, certificate))
        processes = prompt, patient, bare
        crowds = [stack.enter_context(Viewers(process.port, context)) for process in processes]
        browser = stack.enter_context(chromium())
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(f"https://localhost:{patient.port}/")
        expect(page.get_by_role("article").first).to_be_visible(timeout=30_000)
        before = [count for viewers in crowds for count in viewers.counts]
        slept = [sleeps(process.pid) for process in processes]
        spent, spared, least = shares([process.pid for process in processes], SECONDS)
        woken = [(sleeps(process.pid) - then) / SECONDS for process, then in zip(processes, slept, strict=True)]
        after = [count for viewers in crowds for count in viewers.counts]
        memory = max(resident(prompt.pid), resident(patient.pid))
    figures = f"{spent:.2%} of a core; with linger {spared:.2%}; the bare loop {least:.2%}; wake-ups a second {woken}"
    assert min(now - then for now, then in zip(after, before, strict=True)) > SECONDS * RATE * 0.9
    assert memory <= MOST, f"{memory / 1024**2:.1f} MiB"
    assert spared <= max(SHARE, TIMES * least), figures
    assert spent <= max(SHARE, PROMPT * least), figures
    assert woken[0] <= RATE + OTHERS, figures
    assert woken[1] <= 1 / LINGER + OTHERS, figures


@pytest.mark.slow
@pytest.mark.timing
def test_with_nothing_to_do_it_wakes_once_a_beat(
    gateway: Callable[[str], Daemon], mosquitto: Mosquitto, certificate: Any
) -> None:
    """All that is periodic meets there: heartbeats, deadlines, files that may change, the watch over the data path."""
    daemon = gateway(
        f'[[upstream]]\nurls = ["{mosquitto.url}"]\n[[listen]]\nport = {{port}}\n'
        f'tls = {{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}\n'
    )
    context = ssl.create_default_context(cafile=str(certificate.ca))
    with Viewers(daemon.port, context):
        time.sleep(2)  # they have come in
        before, begun = sleeps(daemon.pid), time.monotonic()
        time.sleep(20 * BEAT)  # this is the measurement
        beats = (time.monotonic() - begun) / BEAT
        assert sleeps(daemon.pid) - before <= 1.5 * beats


@pytest.mark.slow
@pytest.mark.timing
def test_it_is_ready_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        took = []
        for _ in range(5):
            begun = time.monotonic()
            with Daemon('[[upstream]]\nurls = ["mqtt://127.0.0.1:1"]\n'):
                while b"READY=1" not in systemd.recv(65536):
                    pass
                took.append(time.monotonic() - begun)
    assert statistics.median(took) <= READY, took
