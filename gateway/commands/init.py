"""`init`: writes a first configuration; with --lan also certificate, token and the link that signs in."""

import grp
import json
import os
import pwd
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from devices.registry import Registry
from gateway.commands.authority import CERTIFICATE, KEY, addresses, make, own_names, signed_here
from gateway.commands.causes import cause, denied
from gateway.commands.certificate import fingerprint
from gateway.commands.tokens import free_name, new_token
from gateway.config import DEFAULT_PATH, load
from gateway.config.addresses import url_fault
from gateway.errors import GatewayError
from gateway.operations.lines import escape
from gateway.upstream.address import parse
from gateway.whole import write_whole

USER = "sensor-gateway"
LISTEN_SECONDS = 3.0
MOST_TOPICS = 5000

_TEMPLATE = """\
# Written by: sensor-gateway init. Every key with its default: config.example.toml; check: sensor-gateway check
[gateway]
{state}
[[upstream]]
name = "main"
urls = [{broker}]
# username = "sensor-gateway"
# password_file = "mqtt.password"
topics = [{{ filter = "#" }}]
# A small box is woken less often; take it out where values have to go out as they come.
linger = "200ms"

[[listen]]
{listen}
"""


def run_init(path: Path, broker: str, *, lan: bool, state_dir: Path | None = None) -> Iterator[str]:
    """Write the configuration at `path`; lines to print. Raises GatewayError where there is one, or it cannot be."""
    if fault := url_fault(broker):
        raise GatewayError(f"--broker: {fault}")
    if path.exists():
        raise GatewayError(f"{path} exists: it is yours to edit; move it away to begin anew")
    folder = path.parent
    tls = folder / "tls"
    if lan and (tls / CERTIFICATE).exists() and not signed_here(tls):
        raise GatewayError(
            f"{tls / CERTIFICATE} is there already, signed by somebody else: move it away to get one of an authority "
            "of your own, or use it: init without --lan, then [[listen]] tls"
        )
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
        # Absolute: in the file a relative one would begin at the file's folder. JSON's strings are TOML's.
        state = f"state_dir = {json.dumps(str(state_dir.absolute()))}\n" if state_dir is not None else ""
        text = _TEMPLATE.format(broker=json.dumps(broker), listen=listen, state=state)
        write_whole(path, text.encode(), 0o640)
        _give(path, owner=False)
    except OSError as error:
        raise GatewayError(denied(error, path)) from None
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
        token = new_token(config, free_name(config, "first"), "viewer", now=time.time(), expires=None)
    except (OSError, GatewayError) as error:
        path.unlink(missing_ok=True)  # once it is mended the same can be typed again
        why = denied(error, config.gateway.state_dir) if isinstance(error, OSError) else str(error)
        raise GatewayError(f"{why}; {path} is taken away again") from None
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
    transport: Literal["tcp", "websockets", "unix"] = "tcp"
    if address.websocket:
        transport = "websockets"
    elif address.scheme == "unix":
        transport = "unix"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, transport=transport)

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
        if address.websocket:
            client.ws_set_options(address.path)
        # paho takes the path of a Unix socket for the host, and wants a port all the same.
        client.connect(address.host or address.path, address.port or 1)
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
