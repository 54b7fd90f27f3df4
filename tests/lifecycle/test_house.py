"""The parts, wired together without a daemon: made in one go, or closed as far as they were made."""

from pathlib import Path

import pytest
from support.configfolder import Folder

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.hub.message import Message
from gateway.lifecycle.house import House


@pytest.fixture
def config(tmp_path: Path) -> Config:
    state = f'[gateway]\nstate_dir = "{tmp_path}"\n'
    return Folder(tmp_path).load(state + '[history]\ndisk = "history.db"\n[auth]\ntokens_file = "tokens.json"\n')


async def test_one_house_takes_up_what_another_has_stored(config: Config) -> None:
    first = House(config)
    await first.build()
    first.server.room.log.append([Message("a", b"1", 0.0, "main")])
    await first.close(5)
    second = House(config)
    await second.build()
    hub = second.server.room.hub
    assert [message.payload for message in hub.values.last(lambda topic: True)] == [b"1"]
    assert hub.settled == second.server.room.log.newest == 1
    await second.close(5)


async def test_what_cannot_be_built_leaves_nothing_open(config: Config, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text("nonsense")
    house = House(config)
    with pytest.raises(GatewayError, match=str(tokens)):
        await house.build()
    await house.close(5)
    tokens.unlink()
    house = House(config)
    await house.build()
    await house.close(5)
