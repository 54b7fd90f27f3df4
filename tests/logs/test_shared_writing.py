"""What gateways on one log store, and who may: once each, in order, and nothing from a holder whose term has ended."""

import asyncio
import os

import msgspec
import nkeys
import pytest
from support.brokerproxy import BrokerProxy
from support.conformance import everything, message
from support.follower import until
from support.jetstream import Streams, settled
from support.nats import Nats

from gateway.errors import GatewayError

pytestmark = pytest.mark.slow


@pytest.fixture
async def streams(shared_nats):
    made = Streams(shared_nats)
    yield made
    await made.end()


async def test_whatever_becomes_of_the_connection_each_message_is_stored_once_and_in_order(streams):
    async with BrokerProxy(streams.server.nats_port) as proxy:
        settings = msgspec.structs.replace(streams.settings(), urls=(f"nats://127.0.0.1:{proxy.port}",))
        taken, told = [], []
        log = await streams.log(taken.extend, settings=settings)
        for number in range(0, 3000, 20):
            log.append(
                [message(f"t/{n % 3}", str(n).encode()) for n in range(number, number + 20)],
                lambda number=number: told.append(number),
            )
            await asyncio.sleep(0.004)
            if number % 400 == 380:
                proxy.reset()
        await settled(log)
        assert [int(m.payload) for m in taken] == list(range(3000))
        assert [m.offset for m in taken] == list(range(1, 3001))
        assert told == list(range(0, 3000, 20))
        assert log.holdings.retries > 0, "no batch was cut"
        await streams.end()


async def test_what_the_servers_would_not_take_goes_on_as_its_size(streams):
    taken = []
    log = await streams.log(taken.extend)
    log.append([message(payload=b"x" * 2_000_000), message(payload=b"next")])
    await settled(log)
    assert [(m.payload, m.size) for m in taken] == [(b"", 2_000_000), (b"next", 0)]
    assert (await everything(log))[0] == taken


async def test_a_topic_longer_than_a_subject_comes_back_whole(streams):
    settings = streams.settings()
    first, second = [], []
    log = await streams.log(first.extend, settings=settings)
    other = await streams.log(second.extend, settings=settings, upstream="")
    topics = ["ü" * 20_000, "a/" * 3_000, "x" * 65_535, "tag > * .//"]
    log.append([message(topic) for topic in topics])
    await settled(log)
    await settled(other)
    assert [m.topic for m in second] == topics


async def test_what_a_holder_sends_after_its_term_is_nobodys(streams):
    settings = streams.settings()
    one, two, told = [], [], []
    old = await streams.log(one.extend, settings=settings, name="old", upstream="")
    new = await streams.log(two.extend, settings=settings, name="new", upstream="")
    former = old.holdings.admit("u", 4, lambda: True)
    former.append([message(payload=b"before")])
    await settled(old)
    now = new.holdings.admit("u", 7, lambda: True)
    now.tell(new._intake._records.barrier("u"))
    now.append([message(payload=b"mine")])
    await settled(new)
    former.append([message(payload=b"late")], lambda: told.append("late"))
    await settled(old)
    now.append([message(payload=b"after")])
    await settled(new)
    await settled(old)
    assert [m.payload for m in one] == [m.payload for m in two] == [b"before", b"mine", b"after"]
    assert [m.offset for m in one] == [1, 3, 5]
    started = await streams.log(settings=settings, name="started", upstream="")
    assert [m.payload for m in started.recent.last] == [b"after"]
    for log in (old, new, started):
        found, gaps = await everything(log)
        assert [m.payload for m in found] == [b"before", b"mine", b"after"]
        assert gaps == []


async def test_a_dead_holder_is_replaced_within_five_seconds_and_its_last_messages_are_known(streams):
    settings = streams.settings()
    begun, ended = {}, []
    logs = {name: await streams.log(settings=settings, name=name, upstream="") for name in ("one", "two")}
    for name, log in logs.items():
        log.campaign(
            "u", lambda recent, name=name: begun.setdefault(name, recent), lambda name=name: ended.append(name)
        )
    await until(lambda: begun)
    await asyncio.sleep(1.2)  # longer than a renewal
    [holder] = begun
    [other] = set(logs) - {holder}
    sent = [message(f"t/{n}", b"x", mid=n) for n in range(1, 50)] + [message("t", b"qos 0")]
    logs[holder].append(sent)
    await settled(logs[holder])
    lease = logs[holder].holdings._campaigns["u"].lease
    lease._task.cancel()  # as dead as it can be in a test's own process
    began = asyncio.get_running_loop().time()
    await until(lambda: other in begun)
    assert asyncio.get_running_loop().time() - began < 5.0
    assert not lease.valid, "two must never hold it at one time"
    assert [(m.mid, m.topic) for m in begun[other]] == [(m.mid, m.topic) for m in sent[:-1]]
    assert logs[other].holdings.holder("u") == other


async def test_a_lease_that_cannot_be_renewed_lapses_before_another_may_begin_and_goes_on_if_none_did(streams):
    async with BrokerProxy(streams.server.nats_port) as proxy:
        settings = msgspec.structs.replace(streams.settings(), urls=(f"nats://127.0.0.1:{proxy.port}",))
        begun, ended, taken = [], [], []
        log = await streams.log(taken.extend, settings=settings, upstream="")
        log.campaign("u", begun.append, lambda: ended.append(True))
        await until(lambda: begun)
        proxy.refuse = True
        proxy.reset()
        await until(lambda: log.busy)  # the source waits
        log.append([message(payload=b"waits")])
        proxy.refuse = False
        await until(lambda: taken)
        assert (len(begun), ended) == (1, [])
        await streams.end()


async def test_a_gap_before_the_log_is_told_to_every_gateway_in_its_place(streams):
    settings = streams.settings()
    told = []
    one = await streams.log(settings=settings, name="one")
    two = await streams.log(lambda messages: told.extend(m.payload for m in messages), settings=settings, upstream="")
    two.gap = told.append
    one.append([message(payload=b"1")])
    one.tell_gap("u")
    one.append([message(payload=b"2")])
    await settled(one)
    await settled(two)
    assert told == [b"1", "u", b"2"]
    three = await streams.log(settings=settings, name="three", upstream="")
    assert three.recent.broken == one.newest - 1


async def test_what_was_deleted_before_it_came_here_is_named(streams):
    settings = streams.settings()
    taken, gone = [], []
    one = await streams.log(settings=settings, name="one")
    two = await streams.log(taken.extend, settings=settings, upstream="")
    two.gone = lambda first, last: gone.append((first, last))
    one.append([message(payload=b"1")])
    await settled(one)
    await settled(two)
    await two._follower.stop()
    one.append([message() for _ in range(50)])
    await settled(one)
    await one.client.ask(f"$JS.API.STREAM.PURGE.{settings.stream}", {"seq": 41})
    two._follower.start(two._intake.taken)
    await settled(two)
    assert gone == [(2, 40)]
    found, [gap] = await everything(two, 1)
    assert (gap.gone, gap.reason) == ((2, 40), "history-expired")
    assert [m.offset for m in found] == list(range(41, 52))


async def test_a_gateway_that_is_behind_says_by_how_much_until_it_has_caught_up(streams):
    settings = streams.settings(max_lag=0.3)
    full = [True]
    one = await streams.log(settings=settings, name="one")
    two = await streams.log(settings=settings, upstream="", busy=lambda: full[0])
    await until(lambda: not two.fault)
    one.append([message() for _ in range(3000)])
    await settled(one)
    await until(lambda: "messages behind for" in two.fault)
    behind, since = two.lag
    assert behind > 500
    assert since > 0.3
    full[0] = False
    # Within the bound there is no fault any more, though a few may still be on their way.
    await until(lambda: not two.fault)
    await until(lambda: two.lag == (0, 0.0) and two.newest == 3000)
    assert one.newest == 3000
    assert not two.fault


class TestTheStream:
    @pytest.mark.parametrize(
        ("option", "value", "words"),
        [
            ("max_bytes", 32 << 20, "max_bytes is 64 MiB, expected 32 MiB"),
            ("max_age", 120.0, "max_age is 7d, expected 2m"),
            ("prefix", "other", "its subjects are"),
        ],
    )
    async def test_one_that_is_not_what_the_configuration_says_is_refused(self, streams, option, value, words):
        settings = streams.settings()
        await streams.log(settings=settings)
        other = msgspec.structs.replace(settings, **{option: value})
        with pytest.raises(GatewayError, match=words):
            await streams.log(settings=other)

    async def test_more_replicas_than_servers_are_refused_with_the_way_out(self, streams):
        settings = msgspec.structs.replace(streams.settings(), replicas=3)
        with pytest.raises(GatewayError, match=r"a single server: 1"):
            await streams.log(settings=settings)


SEED = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)


@pytest.mark.parametrize("way", ["user", "token", "nkey"])
async def test_signs_in_over_tls(tmp_path, certificate, way):
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "nkey").write_bytes(SEED)
    public = nkeys.from_seed(SEED).public_key.decode()
    users, options = {
        "user": ('user: "gw", password: "s3cret"', {"user": "gw", "password_file": tmp_path / "secret"}),
        "token": ('token: "s3cret"', {"token_file": tmp_path / "secret"}),
        "nkey": (f'users: [{{ nkey: "{public}" }}]', {"nkey_file": tmp_path / "nkey"}),
    }[way]
    tls = f'tls {{ cert_file: "{certificate.certificate}", key_file: "{certificate.key}" }}'
    with Nats(config=f"authorization {{ {users} }}\n{tls}") as server:
        streams = Streams(server)
        settings = streams.settings(**options)
        url = f"tls://localhost:{server.nats_port}"
        settings = msgspec.structs.replace(
            settings, urls=(url,), tls=msgspec.structs.replace(settings.tls, ca=certificate.ca)
        )
        taken = []
        log = await streams.log(taken.extend, settings=settings)
        log.append([message()])
        await settled(log)
        assert len(taken) == 1
        await streams.end()
