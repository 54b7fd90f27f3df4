"""A shared log on servers that want to know who asks, an operator's with JWTs: what is wrong, and what is set right."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support.conformance import message
from support.follower import until
from support.jetstream import Streams, settled
from support.nats import Nats
from support.natsjwt import USER, Operator, pair, public

from gateway.errors import GatewayError
from gateway.hub.message import Message
from gateway.logs.jetstream import JetStreamLog
from gateway.logs.stream import examine_stream

SEED = "-----BEGIN USER"

pytestmark = pytest.mark.slow

Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def operator() -> Operator:
    return Operator()


@pytest.fixture(scope="module")
def server(operator: Operator) -> Iterator[Nats]:
    with Nats(config=operator.config) as server:
        yield server


@pytest.fixture
async def streams(server: Nats) -> AsyncIterator[Streams]:
    made = Streams(server)
    yield made
    await made.end()


def without_jwt(file: Path) -> None:
    file.write_text(SEED + file.read_text().partition(SEED)[2])


def without_seed(file: Path) -> None:
    file.write_text(file.read_text().partition(SEED)[0])


def of_another_operator(file: Path) -> None:
    Operator().credentials(file)


def with_the_seed_of_another(file: Path) -> None:
    own = file.read_text().partition(SEED)[0]
    of_another_operator(file)
    file.write_text(own + SEED + file.read_text().partition(SEED)[2])


SPOILT = [
    (without_jwt, "{file} holds no user JWT, expected a .creds file as nsc generate creds makes it; trying on"),
    (without_seed, "{file} holds no user's seed, expected a .creds file"),
    (of_another_operator, "Authorization Violation (it refuses jetstream.credentials); trying on"),
    (with_the_seed_of_another, "Authorization Violation (it refuses jetstream.credentials); trying on"),
    (Path.unlink, "{file} cannot be read: No such file or directory; trying on"),
]


async def stores(log: JetStreamLog, taken: list[Message]) -> None:
    before = len(taken)
    log.append([message()])
    await settled(log)
    assert len(taken) == before + 1


@pytest.mark.parametrize(("spoil", "words"), SPOILT, ids=lambda each: getattr(each, "__name__", "-"))
async def test_a_file_that_is_wrong_is_named_and_tried_again_until_it_is_right(
    streams: Streams,
    operator: Operator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
    words: str,
) -> None:
    """nats-py reads a file without a JWT for ever, and with it the gateway would stand still."""
    file = operator.credentials(tmp_path / "user.creds")
    seed = file.read_text().partition("SEED-----\n")[2][:58]
    spoil(file)
    taken: list[Message] = []
    starting = asyncio.create_task(streams.log(taken.extend, settings=streams.settings(credentials=file)))
    await until(lambda: words.format(file=file) in caplog.text)
    with pytest.raises(GatewayError, match="no NATS server answers: "):
        await examine_stream(streams.settings(credentials=file), 0.5)
    operator.credentials(file)
    await stores(await starting, taken)
    assert seed not in caplog.text


@pytest.mark.parametrize(("spoil", "words"), SPOILT, ids=lambda each: getattr(each, "__name__", "-"))
async def test_a_file_that_becomes_wrong_counts_at_the_next_connection_and_is_tried_again(
    streams: Streams,
    operator: Operator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
    words: str,
) -> None:
    file = operator.credentials(tmp_path / "user.creds")
    taken: list[Message] = []
    log = await streams.log(taken.extend, settings=streams.settings(credentials=file))
    await stores(log, taken)
    spoil(file)
    await log.client._client.force_reconnect()
    await until(lambda: words.format(file=file) in caplog.text)
    operator.credentials(file)
    await until(lambda: log.client.connected and not log.fault)
    await stores(log, taken)


async def test_a_user_whose_time_is_over_goes_on_with_the_next_file(
    streams: Streams, operator: Operator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-py ends for ever when a server says so while the connection stands."""
    file = operator.credentials(tmp_path / "user.creds", seconds=2)
    taken: list[Message] = []
    log = await streams.log(taken.extend, settings=streams.settings(credentials=file))
    await stores(log, taken)
    await until(lambda: "user authentication expired (it refuses jetstream.credentials); trying on" in caplog.text)
    await until(lambda: "Authorization Violation" in caplog.text)
    assert log.fault
    log.append([message(payload=b"meanwhile")])
    operator.credentials(file)
    await until(lambda: len(taken) == 2 and not log.fault)
    assert taken[-1].payload == b"meanwhile"
    await stores(log, taken)


async def test_who_does_not_say_who_they_are_is_told_to(streams: Streams, caplog: pytest.LogCaptureFixture) -> None:
    starting = asyncio.create_task(streams.log())
    await until(lambda: "it wants to know who we are: jetstream.credentials" in caplog.text)
    starting.cancel()
    await asyncio.wait({starting})


async def test_a_token_that_cannot_be_read_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff")
    with Nats(config='authorization { token: "s3cret" }') as server:
        streams = Streams(server)
        starting = asyncio.create_task(streams.log(settings=streams.settings(token_file=file)))
        await until(lambda: f"{file} is not UTF-8; trying on" in caplog.text)
        file.write_text("other\n")
        await until(lambda: "Authorization Violation (it refuses jetstream.token_file); trying on" in caplog.text)
        file.write_text("s3cret\n")
        await starting
        await streams.end()


async def test_who_answers_on_the_port_and_is_no_nats_server_is_tried_again(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-py ends at what it does not expect, also while it connects anew."""

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO []\r\n")
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    log = JetStreamLog(
        lambda messages: None,
        settings=msgspec.structs.replace(streams.settings(), urls=(f"nats://127.0.0.1:{port}",)),
        name="gateway",
        limit=1 << 20,
        age=60.0,
        loop=asyncio.get_running_loop(),
    )
    starting = asyncio.create_task(log.begin())
    await until(lambda: "cannot sign in: 'list' object has no attribute 'get'; trying on" in caplog.text)
    assert not starting.done()
    starting.cancel()
    await asyncio.wait({starting})
    await log.end()
    other.close()
    await other.wait_closed()


async def test_another_nkey_counts_at_the_next_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = [pair(USER) for _ in range(2)]
    keys = ", ".join(f'{{ nkey: "{public(user)}" }}' for user, _ in users)
    file = tmp_path / "nkey"
    file.write_text(users[0][1])
    with Nats(config=f"authorization {{ users: [{keys}] }}") as server:
        streams = Streams(server)
        taken: list[Message] = []
        log = await streams.log(taken.extend, settings=streams.settings(nkey_file=file))
        for text in ("nothing", users[1][1]):
            file.write_text(text)
            await log.client._client.force_reconnect()
            if text == "nothing":
                await until(lambda: f"{file} holds no user's seed" in caplog.text)
        await until(lambda: log.client.connected and not log.fault)
        await stores(log, taken)
        await streams.end()
