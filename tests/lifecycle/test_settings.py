"""What the configuration means for the parts."""

from pathlib import Path

import pytest
from support.configfolder import Folder

from devices.registry import Registry
from gateway.config import Config
from gateway.edge.dialects.registry import KINDS
from gateway.hub.message import Message
from gateway.hub.readings import Readings
from gateway.hub.subscription import View
from gateway.lifecycle import settings
from gateway.memory import resolve_memory


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(("descriptors", "expected"), [(100, 100), (10_000, 900)])
def test_no_more_clients_are_let_in_than_there_are_descriptors_for(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, descriptors: int, expected: int
) -> None:
    config = folder.load("[limits]\nconnections = 900\n")
    monkeypatch.setattr(settings, "descriptors_for_clients", lambda: descriptors)
    assert settings.server_limits(config, resolve_memory(config, None, 4 << 30)).connections == expected


def test_without_a_rate_of_its_own_each_address_may_come_as_often_as_it_may_stay(folder: Folder) -> None:
    config = folder.load("[limits]\nconnections_per_address = 70\n")
    plan = resolve_memory(config, None, 4 << 30)
    assert settings.server_limits(config, plan).accepts == 70
    config = folder.load("[limits]\nconnections_per_address = 70\naccept_rate = 5\n")
    assert settings.server_limits(config, plan).accepts == 5


def said_by(config: Config) -> list[bytes]:
    """A message as viewers of the native protocol and of Server-Sent Events get it."""
    speak, sse = settings.dialects_of(config, epoch="e", readings=Readings(Registry(()), wall=lambda: 0.0))
    assert speak.keys() == KINDS.keys()
    message = Message("t", b"1", 0.0, "barn", offset=1)
    return [dialect.variant(()).encoder("t", View())(message) for dialect in (speak[""](), sse)]


def test_of_several_upstreams_a_message_names_its_own(folder: Folder) -> None:
    one = '[[upstream]]\nname = "barn"\n'
    assert not any(b'"upstream"' in said for said in said_by(folder.load(one)))
    two = one + '[[upstream]]\nname = "mill"\nprefix = "mill/"\n'
    assert all(b'"upstream":"barn"' in said for said in said_by(folder.load(two)))


def test_what_devices_put_into_a_shared_log_themselves_comes_under_one_name(folder: Folder) -> None:
    shared = '[history]\nlog = "jetstream"\n'
    assert settings.unsigned(folder.load(shared).upstream) == ""
    stream = 'jetstream = { prefix = "", topics = ["barn/#"] }\n'
    config = folder.load(f'{shared}{stream}[[upstream]]\nname = "barn"\ningest = "none"\n')
    assert settings.unsigned(config.upstream) == "barn"
