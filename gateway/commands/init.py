"""`init`: writes a first configuration; with --lan also certificate, token and the link that signs in."""

import grp
import os
import pwd
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from devices.registry import Registry
from gateway.commands.authority import CERTIFICATE, KEY, addresses, make, own_names
from gateway.commands.causes import cause
from gateway.commands.certificate import fingerprint
from gateway.commands.tokens import new_token
from gateway.config import DEFAULT_PATH, load
from gateway.errors import GatewayError
from gateway.operations.lines import escape
from gateway.upstream.address import parse

USER = "sensor-gateway"
LISTEN_SECONDS = 3.0
MOST_TOPICS = 5000

_TEMPLATE = """\
# Written by: sensor-gateway init. Every key with its default: config.example.toml; check: sensor-gateway check
[gateway]
{state}
[[upstream]]
name = "main"
urls = ["{broker}"]
# username = "sensor-gateway"
# password_file = "mqtt.password"
topics = [{{ filter = "#" }}]

[[listen]]
{listen}
"""


def run_init(path: Path, broker: str, *, lan: bool, state_dir: Path | None = None) -> Iterator[str]:
    """Write the configuration at `path`; lines to print. Raises GatewayError where there is one, or it cannot be."""
    try:
        parse(broker)
    except ValueError as error:
        raise GatewayError(str(error)) from None
    if path.exists():
        raise GatewayError(f"{path} exists: it is yours to edit; move it away to begin anew")
    folder = path.parent
    tls = folder / "tls"
    listen = 'address = "127.0.0.1"\nport = 8880'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if lan:
            tls.mkdir(mode=0o750, exist_ok=True)
            _give(tls, owner=False)
            make(tls, own_names())
            names = ", ".join(f'"{name}"' for name in own_names())
            listen = (
                f'address = "*"\nport = 8443\ntls = {{ certificate = "tls/{CERTIFICATE}", key = "tls/{KEY}" }}\n'
                f"hosts = [{names}]"
            )
        state = f'state_dir = "{state_dir}"\n' if state_dir is not None else ""
        path.write_text(_TEMPLATE.format(broker=broker, listen=listen, state=state))
        path.chmod(0o640)
        _give(path, owner=False)
    except OSError as error:
        raise GatewayError(f"{error.filename or path}: {error.strerror}: are you root?") from None
    yield f"wrote {path}"
    config = load(path)
    yield from heard_at(broker)
    if not lan:
        yield "the page will be at http://127.0.0.1:8880/, for this machine alone (init --lan: for the whole network)"
        yield _next(path)
        return
    try:
        config.gateway.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        _give(config.gateway.state_dir, owner=True)
    except OSError as error:
        raise GatewayError(f"{config.gateway.state_dir}: {error.strerror}: are you root?") from None
    token = new_token(config, "first", "viewer", now=time.time(), expires=None)
    host = socket.gethostname().partition(".")[0]
    yield ""
    yield "Open one of these (they sign in: treat them like a password):"
    yield f"  https://{host}.local:8443/#token={token}"
    for address in addresses()[:3]:
        shown = f"[{address}]" if ":" in address else address
        yield f"  https://{shown}:8443/#token={token}"
    yield ""
    yield f"Browsers warn until they trust {tls / 'ca.pem'} (SHA-256 {fingerprint(tls / 'ca.pem')}):"
    yield "  Android  Settings, Security, Encryption & credentials, Install a certificate, CA certificate"
    yield "  iPhone   send yourself the file, install the profile, Settings, General, About, Certificate Trust Settings"
    yield "  Firefox  Settings, Certificates, Authorities, Import"
    yield "  Chrome   Settings, Privacy and security, Security, Manage certificates"
    yield ""
    yield _next(path)


def _next(path: Path) -> str:
    """What to type now: the service follows one file, any other is for whoever named it."""
    command = "systemctl enable --now sensor-gateway"
    return f"Now: {command}" if path == DEFAULT_PATH else f"Now: sensor-gateway run --config {path}"


def heard_at(broker: str, *, seconds: float = LISTEN_SECONDS) -> Iterator[str]:
    """Listen to the broker for a moment and say which families of devices speak there; never raises."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    address = parse(broker)
    heard: dict[str, bytes] = {}
    refused: list[str] = []
    connected = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def on_connect(client: mqtt.Client, data: object, flags: object, code: object, properties: object) -> None:
        if getattr(code, "is_failure", False):
            refused.append(str(code))
        else:
            client.subscribe("#")
        connected.set()

    def on_message(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        if len(heard) < MOST_TOPICS:
            heard[message.topic] = bytes(message.payload)

    client.on_connect = on_connect
    client.on_message = on_message
    try:
        if address.tls:
            client.tls_set()
        client.connect(address.host, address.port)
        client.loop_start()
        connected.wait(5.0)
        time.sleep(seconds if not refused else 0.0)
        client.disconnect()
        client.loop_stop()
    except (OSError, ValueError) as error:
        yield f"the broker at {broker} does not answer yet: {escape(cause(error))}; the gateway will keep trying"
        return
    if refused:
        yield f"the broker refuses us: {refused[0]}: set username and password_file of [[upstream]]"
        return
    registry = Registry(())
    found = Counter(registry.family(topic, payload) for topic, payload in heard.items())
    if found:
        yield "heard at the broker: " + ", ".join(f"{name} ({count} topics)" for name, count in found.most_common())
    else:
        yield f"the broker answers; nothing was said within {seconds:g} s"


def _give(path: Path, *, owner: bool) -> None:
    """Let the service read `path`: its group, and as `owner` it altogether; only root can, only where it is known."""
    if os.geteuid() != 0:
        return
    try:
        group = grp.getgrnam(USER).gr_gid
        user = pwd.getpwnam(USER).pw_uid if owner else -1
    except KeyError:
        return  # no such user: this is not an installed service
    os.chown(path, user, group)
