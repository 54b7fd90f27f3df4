import asyncio

import pytest

from gateway.errors import CommandError, UpstreamError
from gateway.upstream.counters import Counters
from gateway.upstream.publishing import DOWN, Outgoing, Terms


class Wire:
    """Takes messages as a client does, under rising numbers; `broken` refuses them."""

    def __init__(self, **bounds: float) -> None:
        self.sent: list[tuple[str, bytes, int, bool]] = []
        self.answers: dict[str, str | None] = {}
        self.broken = False
        self.counters = Counters()
        self.outgoing = Outgoing(asyncio.get_running_loop(), self.counters, self.send, **bounds)  # type: ignore[arg-type]

    def send(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        if self.broken:
            raise UpstreamError("not connected")
        self.sent.append((topic, payload, qos, retain))
        return len(self.sent)

    def publish(self, topic: str, payload: bytes = b"v", qos: int = 1, retain: bool = False) -> None:
        def done(failure: CommandError | None) -> None:
            assert topic not in self.answers, "answered twice"
            self.answers[topic] = None if failure is None else str(failure)

        self.outgoing.publish(topic, payload, qos=qos, retain=retain, done=done)


async def test_a_message_is_answered_when_the_broker_has_it() -> None:
    wire = Wire()
    wire.outgoing.connected(Terms())

    wire.publish("a")
    assert wire.answers == {}
    wire.outgoing.published(1, None)

    assert wire.answers == {"a": None}
    assert wire.counters.published == 1


async def test_messages_wait_for_the_link_in_order() -> None:
    wire = Wire()
    for topic in "abc":
        wire.publish(topic)
    assert wire.sent == []

    wire.outgoing.connected(Terms())

    assert [topic for topic, *_ in wire.sent] == ["a", "b", "c"]
    wire.outgoing.close()


async def test_what_waits_too_long_is_answered_and_never_sent() -> None:
    """A command for a valve must not open it an hour later."""
    wire = Wire(patience=0.05)
    wire.publish("a")
    await asyncio.sleep(0.1)

    assert wire.answers == {"a": f"upstream-down: {DOWN} for more than 0.05 s"}
    wire.outgoing.connected(Terms())
    assert wire.sent == []


@pytest.mark.parametrize("bounds", [{"most": 2}, {"most_bytes": 2}])
async def test_more_than_the_bound_is_answered_at_once(bounds: dict[str, float]) -> None:
    wire = Wire(**bounds)
    for topic in "abc":
        wire.publish(topic)

    assert wire.answers == {"c": f"upstream-down: {DOWN}, and too much waits for it"}
    assert wire.counters.publish_failures == 1
    wire.outgoing.close()


async def test_the_bound_holds_for_what_is_not_answered_yet() -> None:
    wire = Wire(most=2)
    wire.outgoing.connected(Terms())
    for topic in "abc":
        wire.publish(topic)
    assert wire.answers == {"c": "too-fast: the broker is behind"}

    wire.outgoing.published(1, None)
    wire.publish("d")

    assert [topic for topic, *_ in wire.sent] == ["a", "b", "d"]
    wire.outgoing.close()


async def test_qos_0_is_answered_as_lost_when_the_link_breaks_before_it_is_sent() -> None:
    wire = Wire()
    wire.outgoing.connected(Terms())
    wire.publish("a", qos=0)
    wire.publish("b", qos=1)

    wire.outgoing.lost(resent=True)

    assert wire.answers == {"a": f"upstream-down: {DOWN}: lost before it was sent"}
    wire.outgoing.published(2, None)
    assert wire.answers["b"] is None


async def test_what_the_client_does_not_send_again_is_sent_from_here() -> None:
    wire = Wire()
    wire.outgoing.connected(Terms())
    wire.publish("a")
    wire.outgoing.lost(resent=False)

    wire.outgoing.connected(Terms())

    assert [topic for topic, *_ in wire.sent] == ["a", "a"]
    wire.outgoing.published(2, None)
    assert wire.answers == {"a": None}


async def test_what_is_sent_from_here_once_more_comes_before_what_was_published_since() -> None:
    """It came behind it: of two commands the earlier one won, where a broker came back as another version, say."""
    wire = Wire(patience=0.1)
    wire.outgoing.connected(Terms())
    for topic in "ab":
        wire.publish(topic)
    wire.outgoing.lost(resent=True)
    wire.publish("c")
    wire.outgoing.lost(resent=False)
    wire.sent.clear()
    wire.outgoing.connected(Terms())

    assert [topic for topic, *_ in wire.sent] == ["a", "b", "c"]
    wire.outgoing.close()


async def test_what_is_sent_from_here_once_more_waits_no_longer_than_it_may() -> None:
    wire = Wire(patience=0.3)
    wire.outgoing.connected(Terms())
    wire.publish("a")
    wire.outgoing.lost(resent=True)
    await asyncio.sleep(0.2)
    wire.publish("b")
    wire.outgoing.lost(resent=False)
    await asyncio.sleep(0.2)

    assert list(wire.answers) == ["a"]
    wire.outgoing.close()


async def test_a_link_that_breaks_while_sending_keeps_the_message() -> None:
    wire = Wire()
    wire.outgoing.connected(Terms())
    wire.broken = True
    wire.publish("a")
    assert wire.answers == {}

    wire.broken = False
    wire.outgoing.connected(Terms())

    assert [topic for topic, *_ in wire.sent] == ["a"]
    wire.outgoing.close()


async def test_at_the_end_everything_is_answered() -> None:
    wire = Wire()
    wire.outgoing.connected(Terms())
    wire.publish("a")
    wire.outgoing.lost(resent=True)
    wire.publish("b")

    wire.outgoing.close()

    assert set(wire.answers) == {"a", "b"}
    assert all(failure is not None for failure in wire.answers.values())
    assert wire.outgoing.pending == 0
