import asyncio

import msgspec
import pytest
from support.conformance import LogConformance, everything, message
from support.follower import until
from support.jetstream import Streams, settled

from gateway.errors import GatewayError
from gateway.logs.stream import StreamState


@pytest.fixture
async def streams(shared_nats):
    made = Streams(shared_nats)
    yield made
    await made.end()


class TestJetStreamLog(LogConformance):
    @pytest.fixture(autouse=True)
    async def fresh(self, streams):
        self.log = await streams.log(lambda messages: self.taken.extend(messages))

    def make(self, taken):
        self.taken = taken
        return self.log

    async def settle(self, log):
        await settled(log)


class TestJetStreamLogWithoutAWindow(LogConformance):
    """What memory does not hold comes out of the stream."""

    @pytest.fixture(autouse=True)
    async def fresh(self, streams):
        self.log = await streams.log(lambda messages: self.taken.extend(messages), age=0.0, limit=0)
        # Not even the newest block stays.
        self.log.ring.expire = lambda now: self.log.ring.clear(self.log.ring.newest)

    def make(self, taken):
        self.taken = taken
        return self.log

    async def settle(self, log):
        await settled(log)

    async def test_what_is_near_is_answered_within_the_call(self):
        log = self.make([])
        log.append([message()])
        await settled(log)
        assert log.near == log.newest, "nothing is near"


async def test_two_gateways_hand_on_the_same_messages_under_the_same_offsets(streams):
    settings = streams.settings()
    one, two = [], []
    first = await streams.log(one.extend, settings=settings, name="one")
    second = await streams.log(two.extend, settings=settings, name="two", upstream="")
    sent = [message(f"t/{n % 7} x", str(n).encode(), mid=n + 1) for n in range(3000)]
    for n in range(0, 3000, 100):
        first.append(sent[n : n + 100])
    await settled(first)
    await settled(second)
    assert one == two == sent
    assert first.epoch == second.epoch
    assert [m.offset for m in two] == list(range(1, 3001))
    found, gaps = await everything(second)
    assert (found, gaps) == (sent, [])


@pytest.mark.parametrize(("last", "seconds", "ends"), [(95, 1.0, False), (95, 6.0, True), (100, 6.0, False)])
async def test_a_stream_that_looks_shorter_ends_the_gateway_only_if_it_stays_so(streams, last, seconds, ends):
    """The leader may be a moment behind a server that has handed on already."""
    log = await streams.log()
    over = []
    log.over = lambda: over.append(True)
    looks = [(0.0, 95), (seconds / 2, last), (seconds, last)]
    said = [log._watch._is_over(StreamState(log.epoch, 1, newest), now, 100) for now, newest in looks]
    assert said == [False, False, ends]
    assert bool(over) is ends


async def test_a_gateway_that_hands_on_nothing_for_days_does_not_grow_and_knows_since_when(streams):
    """Every look at the stream was kept until it was caught up with: twenty megabytes a day."""
    now = [0.0]
    log = await streams.log(clock=lambda: now[0])
    for newest in range(1, 100_001):
        now[0] += 0.5
        log._watch._is_over(StreamState(log.epoch, 1, newest), now[0], 0)
    assert len(log._watch._looks) <= 512
    assert log.lag == (100_000, 50_000.0 - 0.5)
    log._intake.taken = 50_000
    behind, since = log.lag
    assert behind == 50_000
    assert since == pytest.approx(25_000.0, rel=0.02)
    log._intake.taken = 0


@pytest.mark.parametrize("asked", ["CONSUMER.CREATE", "STREAM.INFO", "$KV.", "STREAM.MSG.GET", "a batch"])
async def test_an_answer_that_nobody_foresaw_ends_nothing(streams, monkeypatch, caplog, asked):
    """It ended the task that had asked, for good: nothing was followed, or held, or looked at any more."""
    monkeypatch.setattr("gateway.logs.ending.FAULT", 0.05)
    for room in ("following", "lease", "watching", "streamlookback", "writing"):
        monkeypatch.setattr(f"gateway.logs.{room}.FAULT", 0.05)
    taken = []
    log = await streams.log(taken.extend, upstream="")
    begun = asyncio.Event()
    real, real_send, broken = log.client.ask, log.client.send, []

    async def ask(subject, *arguments, **options):
        if asked in subject and len(broken) < 2:
            broken.append(subject)
            return {}["config"]
        return await real(subject, *arguments, **options)

    async def send(batch):
        if asked == "a batch" and len(broken) < 2:
            broken.append(batch)
            raise KeyError("config")
        await real_send(batch)

    log.client.ask, log.client.send = ask, send
    log.campaign("u", lambda recent: begun.set(), lambda: None)
    log._follower.again()
    await until(lambda: len(broken) == 2 and begun.is_set() and not log.fault)
    log.append([message()])
    await until(lambda: taken)
    assert "history: a fault in the gateway; it goes on" in caplog.text
    log.client.ask = real


async def test_a_fault_of_whoever_gets_a_message_is_told(streams, caplog):
    """It was told as a failure of the connection, and only at debug."""
    log = await streams.log()

    async def fail(received):
        raise RuntimeError("a mistake")

    await log.client.subscribe("here", fail)
    await log.client.publish("here", b"1")
    await until(lambda: "a mistake" in caplog.text)
    assert "history: a fault in the gateway" in caplog.text


async def test_what_devices_publish_comes_under_the_name_that_it_is_called_by(streams):
    taken = []
    log = await streams.log(taken.extend, settings=streams.settings(prefix="", topics=("called/#",)))
    for name in ("", "plant"):
        log.call_unsigned(name)
        await log.client.request("called.a", b"1")
        await log._caught_up()
    assert [(each.topic, each.upstream) for each in taken] == [("called/a", ""), ("called/a", "plant")]


async def test_a_certificate_that_cannot_be_read_is_named(streams, tmp_path):
    """The start ended with a traceback."""
    settings = streams.settings()
    tls = msgspec.structs.replace(settings.tls, ca=tmp_path / "gone.pem")
    with pytest.raises(GatewayError, match=r"jetstream\.tls: .*gone\.pem: No such file"):
        await streams.log(settings=msgspec.structs.replace(settings, urls=("tls://localhost:1",), tls=tls))
    await streams.end()
