"""Fixtures that many tests share: real brokers, certificates, free ports, the real daemon.

A test that uses a real broker, by a fixture from here or by `support.mosquitto` and `support.nats`, gets the marker
`broker` by itself, so that `-m "not broker"` leaves out exactly those.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis
import pytest
import trustme
from support.leftovers import held, leftovers
from support.processes import free_port as find_free_port
from support.uring import has_io_uring

if TYPE_CHECKING:
    from support.daemon import Daemon
    from support.mosquitto import Mosquitto
    from support.nats import Nats

# How long an example takes is a matter of what else the machine does; tests that measure time say so by their marker.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

# A shell that runs us in the background lets SIGINT be ignored, which the programs under test would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BROKER_FIXTURES = {"mosquitto", "shared_mosquitto", "nats", "shared_nats"}
BROKER_MODULES = {"support.mosquitto", "support.nats"}


class Certificate(NamedTuple):
    """PEM files of a certificate for localhost, 127.0.0.1 and ::1, and of the authority that signed it."""

    ca: Path
    certificate: Path
    key: Path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if uses_broker(item):
            item.add_marker("broker")
    if not has_io_uring():
        without = [item for item in items if item.get_closest_marker("io_uring") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in without])
        items[:] = without
    # What measures time runs when everything else is done.
    items.sort(key=lambda item: item.get_closest_marker("timing") is not None)


def uses_broker(item: pytest.Item) -> bool:
    """Whether the test asks for a broker fixture, or its module or a fixture of its folder brings brokers in."""
    names = set(getattr(item, "fixturenames", ()))
    if names & BROKER_FIXTURES:
        return True
    module = getattr(item, "module", None)
    if isinstance(module, ModuleType) and brings_brokers(vars(module)):
        return True
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(brings_brokers(getattr(each[-1].func, "__globals__", {})) for each in definitions.values())


def brings_brokers(namespace: dict[str, Any]) -> bool:
    return any(getattr(value, "__module__", None) in BROKER_MODULES for value in namespace.values())


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a process or a file descriptor behind."""
    before = held()
    yield
    left = leftovers(before)
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives TCP ports of 127.0.0.1 that nobody holds."""
    return find_free_port


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost that a CA of the test run's own signed."""
    folder = tmp_path_factory.mktemp("certificate")
    files = Certificate(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files.ca)
    issued = authority.issue_cert("localhost", "127.0.0.1", "::1")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(files.certificate, append=number > 0)
    issued.private_key_pem.write_to_path(files.key)
    return files


@pytest.fixture
def mosquitto() -> "Iterator[Mosquitto]":
    """A Mosquitto of the test's own, on a free port."""
    from support.mosquitto import Mosquitto

    with Mosquitto() as broker:
        yield broker


@pytest.fixture(scope="session")
def shared_mosquitto() -> "Iterator[Mosquitto]":
    """One Mosquitto for the whole run: do not stop it, and keep to topics of your own."""
    from support.mosquitto import Mosquitto

    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def nats() -> "Iterator[Nats]":
    """A NATS server with JetStream and MQTT of the test's own, on free ports."""
    from support.nats import Nats

    with Nats() as broker:
        yield broker


@pytest.fixture(scope="session")
def shared_nats() -> "Iterator[Nats]":
    """One NATS server for the whole run: do not stop it, and keep to topics of your own."""
    from support.nats import Nats

    with Nats() as broker:
        yield broker


@pytest.fixture
def gateway() -> "Iterator[Callable[[str], Daemon]]":
    """A function that starts the real daemon on a configuration and returns once it listens; all end with the test."""
    from support.daemon import Daemon

    with ExitStack() as stack:
        yield lambda config: stack.enter_context(Daemon(config))
