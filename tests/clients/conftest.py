"""Unmodified clients of every dialect, over WSS, against the real gateway and Mosquitto."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nodeclient import NodeClient
from support.nodepackages import MISSING, installed
from support.publisher import Publisher

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with this folder's packages installed."""
    program = shutil.which("node")
    assert program is not None, MISSING
    installed(HERE)
    return program


@pytest.fixture
def client(node, certificate) -> "Iterator[Callable[..., NodeClient]]":
    """A function that starts a driver of this folder; all end with the test."""
    with ExitStack() as stack:
        yield lambda script, **options: stack.enter_context(
            NodeClient(node, HERE / script, certificate.ca, ca=str(certificate.ca), **options)
        )


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    """A broker that queues without bound for the gateway."""
    with Mosquitto(config="max_queued_messages 0\nmax_inflight_messages 0") as broker:
        yield broker


@pytest.fixture
def publisher(broker) -> Iterator[Publisher]:
    with Publisher(broker.port) as publisher:
        yield publisher


CONFIG = """
[auth]
anonymous = "local"

[[role]]
name = "viewer"
subscribe = ["#"]
deny = ["secret/#"]
publish = ["commands/#"]

[[upstream]]
name = "site"
urls = ["{broker}"]
topics = [{{ filter = "#", qos = 1 }}]

[[listen]]
address = "127.0.0.1"
port = {{port}}
tls = {{ certificate = "{certificate}", key = "{key}" }}

{more}
"""


@pytest.fixture
def secure_gateway(broker, certificate, gateway) -> "Callable[..., Daemon]":
    """A function that starts the gateway behind the broker with WSS; `more` goes into its configuration."""

    def start(more: str = "") -> Daemon:
        text = CONFIG.format(broker=broker.url, certificate=certificate.certificate, key=certificate.key, more=more)
        return gateway(text)

    return start
