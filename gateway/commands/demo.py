"""`demo`: broker, simulated sensors, certificate and gateway on loopback, without any configuration."""

import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from signal import SIG_BLOCK, SIG_IGN, SIGHUP, SIGINT, SIGTERM, pthread_sigmask, signal, sigwait
from types import FrameType

import click

from devices.simulator import Fleet
from gateway.commands.embedded_broker import EmbeddedBroker, find_program
from gateway.commands.simulate import Simulation
from gateway.config import Config, load
from gateway.config.addresses import url_fault
from gateway.errors import GatewayError

NEEDS_BROKER = "demo needs a broker: install 'sensor-gateway[demo]' or give --broker mqtt://127.0.0.1:1883"
TLS_PORT = 8443
PLAIN_PORT = 8880
PORTS_TRIED = 100
# Where the embedded broker's devices stand, so that the page has areas to show; those of a larger fleet have none.
AREAS = {
    "Kitchen": ("sensors/kitchen/#", "esp-kitchen-0/#", "zigbee2mqtt/kitchen_climate", "tele/tasmota_1D872B/#"),
    "Living room": ("sensors/livingroom/#", "esp-livingroom-1/#", "zigbee2mqtt/livingroom_door"),
    "Utility room": (
        "tele/tasmota_BBBEA4/#",
        "shellyplus1pm-025e4d1d872b/#",
        "shellyplus1pm-025e4dbbbea4/#",
        "shellies/#",
    ),
    "Garden": ("homie/#", "rtl_433/#", "home/OpenMQTTGateway/#", "ruuvi/#"),
    "Greenhouse": ("greenhouse/#", "v3/#", "application/#"),
    "On the road": ("owntracks/#",),
}


def run_demo(*, broker: str | None, devices: int) -> int:
    """Run until Ctrl-C; the exit status. Leaves no process and no folder behind.

    With `broker` the sensors are simulated there, only those under `sensors/`: the topics of the other families could
    be in use by real devices.

    Raises:
        GatewayError: no broker to be had, or one that does not answer.
    """
    if broker is not None and (fault := url_fault(broker)):
        raise GatewayError(f"--broker: {fault}")
    program = None if broker else find_program()
    if broker is None and program is None:
        raise GatewayError(NEEDS_BROKER)
    signal(SIGTERM, _interrupt)  # a plain kill cleans up as well
    end_with_the_terminal()
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sensor-gateway-demo-")))
            if program is not None:
                broker = stack.enter_context(EmbeddedBroker(program, folder)).url
            assert broker is not None
            config = write_config(folder, broker, areas=AREAS if program else {})
            fleet = Fleet(devices=devices, families=None if program else ("plain",))
            stack.enter_context(Simulation(fleet, broker))
            stack.enter_context(announced(config, broker, devices, foreign=program is None))
            from gateway.daemon import run

            return run(config)
        except KeyboardInterrupt:
            return 0
        finally:
            for number in (SIGINT, SIGTERM):  # an impatient second Ctrl-C would leave the folder behind
                signal(number, SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_with_the_terminal() -> None:
    """Turn the hang-up of a closed terminal into SIGTERM.

    It means "reload" to the daemon, whose handler would win: so it is blocked everywhere and waited for by a thread.
    """
    pthread_sigmask(SIG_BLOCK, {SIGHUP})

    def wait() -> None:
        sigwait({SIGHUP})
        os.kill(os.getpid(), SIGTERM)

    threading.Thread(target=wait, name="hang-up", daemon=True).start()


def write_config(folder: Path, broker: str, areas: Mapping[str, Sequence[str]] | None = None) -> Config:
    """Write the demo's configuration into `folder`, with a certificate where `cryptography` is there, and load it.

    `areas` are topic filters by the name of the place. Who is on this machine may see the gateway's own view as well.
    """
    lines = [
        "[gateway]",
        'name = "demo"',
        f'state_dir = "{folder}"',
        'drain = "0s"',
        "[[upstream]]",
        'name = "demo"',
        f'urls = ["{broker}"]',
        "[[listen]]",
        f"port = {next_free_port(PLAIN_PORT)}",
        "[log]",
        'level = "warning"',
        "[[role]]",
        'name = "viewer"',
        'subscribe = ["#"]',
        'rights = ["gateway"]',
    ]
    for area, filters in (areas or {}).items():
        for filter in filters:
            lines += ["[[device]]", f'filter = "{filter}"', f'area = "{area}"']
    if find_spec("cryptography") is not None:
        from gateway.commands.certificates import make_self_signed

        files = make_self_signed(folder, ["localhost", "127.0.0.1", "::1", socket.gethostname()])
        lines += [
            "[[listen]]",
            f"port = {next_free_port(TLS_PORT)}",
            f'tls = {{ certificate = "{files.certificate}", key = "{files.key}" }}',
        ]
    file = folder / "config.toml"
    file.write_text("\n".join([*lines, ""]))
    return load(file)


def next_free_port(first: int) -> int:
    """The first TCP port of 127.0.0.1 from `first` on that nobody listens on."""
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            # As the gateway binds: a port whose last connections only fade away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise GatewayError(f"no free port from {first} to {first + PORTS_TRIED - 1}")


@contextmanager
def announced(config: Config, broker: str, devices: int, *, foreign: bool) -> Iterator[None]:
    """Print the addresses once the gateway answers on all of them."""
    stopped = threading.Event()

    def announce() -> None:
        for listen in config.listen:
            while not answers(listen.port):
                if stopped.wait(0.05):
                    return
        click.echo(addresses(config, broker, devices, foreign=foreign))

    thread = threading.Thread(target=announce, name="announce", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def own_name() -> str:
    """What a person types to call us: the plain name where the shell finds it, else the path we were called by."""
    called = Path(sys.argv[0])
    found = shutil.which("sensor-gateway")
    if called.name != "sensor-gateway" or (found is not None and Path(found).samefile(called)):
        return "sensor-gateway"
    return str(called)


def addresses(config: Config, broker: str, devices: int, *, foreign: bool) -> str:
    """What a person needs to know now."""
    plain = next(listen.port for listen in config.listen if listen.tls is None)
    secure = next((listen.port for listen in config.listen if listen.tls is not None), None)
    where = f"ws://localhost:{plain}/stream" if secure is None else f"wss://localhost:{secure}/stream"
    watch = f"{own_name()} watch 'sensors/#'"
    if secure is None:
        watch += f" --url {where}"
    else:
        watch += " --insecure" if secure == TLS_PORT else f" --insecure --url {where}"
    lines = [
        "",
        f"  dashboard  http://localhost:{plain}/" + ("" if secure is None else f"  or  https://localhost:{secure}/"),
        f"  stream     {where}" if secure else "  stream     (WSS needs a certificate: install 'sensor-gateway[cert]')",
        f"  plain      ws://localhost:{plain}/stream",
        f"  broker     {broker}  ({devices} simulated devices{', under sensors/ only' if foreign else ''})",
        "",
        f"  watch it:  {watch}",
        "  stop it:   Ctrl-C",
        "",
    ]
    return "\n".join(lines)
