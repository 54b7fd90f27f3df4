"""STOMP subscriptions to the same destination: each has its own replay, and its own copy of every message, once."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.conversation import Client, House

from gateway.hub.message import Message

HELLO = "CONNECT\naccept-version:1.2\n\n\0"
MESSAGE = re.compile(rb"MESSAGE\n.*?\nsubscription:(\w+)\n.*?\noffset:(\d+)\n", re.DOTALL)
IDS = ("a", "b", "c")
DESTINATIONS = ("t", "t", "#")


def follower() -> tuple[House, Client]:
    house = House()
    house.room.limits = msgspec.structs.replace(house.room.limits, commands_per_second=1e9)
    client = house.client("v12.stomp")
    client.say(HELLO)
    return house, client


def subscribe(id: str, destination: str, replay: str) -> str:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\nreplay:{replay}\n\n\0"


def told(frames: list[bytes]) -> list[tuple[str, int]]:
    return [(found[1].decode(), int(found[2])) for frame in frames if (found := MESSAGE.match(frame))]


def test_a_replay_goes_to_the_subscription_that_asked_for_it():
    """The first subscription to a destination got the replay of the second one too: what it had had, out of order."""
    house, client = follower()
    for _ in range(3):
        house.publish("t")
    client.say(subscribe("a", "t", "none"))
    assert told(client.say(subscribe("b", "t", "count\\c2"))) == [("b", 2), ("b", 3)]
    house.publish("t")
    assert sorted(told(client.heard())) == [("a", 4), ("b", 4)]


def test_the_end_of_one_subscription_leaves_the_others_replay_alone():
    house, client = follower()
    for _ in range(3):
        house.publish("t")
    client.line.queued = True
    client.say(subscribe("a", "t", "count\\c3"))
    client.say(subscribe("b", "t", "count\\c3"))
    client.say("UNSUBSCRIBE\nid:a\n\n\0")
    client.line.queued = False
    client.session.drained()
    assert told(client.heard()) == [("b", 1), ("b", 2), ("b", 3)]


def test_with_an_interval_the_heartbeat_has_the_mark_to_go_on_from():
    """A value that was held back lay before the last MESSAGE, whose offset was all that a client had to go on from."""
    house, client = follower()
    client.say("SUBSCRIBE\nid:e\ndestination:/gateway/events\n\n\0")
    client.say("SUBSCRIBE\nid:a\ndestination:t/#\nreplay:none\ninterval:3600\n\n\0")
    for topic in ("t/a", "t/a", "t/b"):
        house.publish(topic)
    assert told(client.heard()) == [("a", 1), ("a", 3)]
    [beat] = [frame for frame in client.beat(20) if b'"type":"heartbeat"' in frame]
    assert b"\ndestination:/gateway/events\n" in beat
    assert beat.endswith(b'"offset":1}\0')


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 300)),
        st.tuples(st.just("subscribe"), st.tuples(st.sampled_from(IDS), st.sampled_from(["none", "count", "resume"]))),
        st.tuples(st.just("unsubscribe"), st.sampled_from(IDS)),
        st.tuples(st.just("busy"), st.none()),
        st.tuples(st.just("free"), st.none()),
        st.tuples(st.just("step"), st.none()),
    ),
    max_size=30,
)


@pytest.mark.parametrize("mode", ["auto", "client-individual"])
@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_each_gets_everything_from_where_it_began_once_and_in_order(mode: str, steps: list[tuple[str, Any]]) -> None:
    house, client = follower()
    began: dict[str, int] = {}
    got: dict[str, list[int]] = {}
    lives = 0

    def name(id: str) -> str:
        return next((each for each in reversed(list(got)) if each.startswith(id)), "")

    def listen(frames: list[bytes]) -> None:
        for each, offset in told(frames):
            got[each].append(offset)
            if mode != "auto":
                listen(client.say(f"ACK\nid:{each}@{offset}\n\n\0"))

    for step, value in (*steps, ("free", None)):
        if step == "publish":
            for _ in range(value):
                house.log.append([Message("t", b"1", 1.0, "site")])
        elif step == "subscribe" and name(value[0]) not in began:
            lives += 1
            each = f"{value[0]}{lives}"
            newest = house.log.newest
            after = {"none": newest, "count": max(0, newest - 5), "resume": newest // 2}[value[1]]
            replay = {"none": "none", "count": "count\\c5", "resume": f"e1\\c{after}"}[value[1]]
            began[each], got[each] = after, []
            destination = DESTINATIONS[IDS.index(value[0])]
            words = subscribe(each, destination, replay).replace("\n\n", f"\nack:{mode}\n\n")
            client._try(lambda words=words: client.session.receive(words.encode(), text=True))
        elif step == "unsubscribe" and name(value) in began:
            each = name(value)
            listen(client.say(f"UNSUBSCRIBE\nid:{each}\n\n\0"))
            check(got[each], began.pop(each), house.log.newest, whole=False)
        elif step == "busy":
            client.line.queued = True
        elif step == "free":
            client.line.queued = False
            client.session.drained()
            house.turn()
            listen(client.heard())
        elif step == "step":
            listen(client.heard())
    while frames := client.heard():
        listen(frames)
    for each, after in began.items():
        check(got[each], after, house.log.newest, whole=True)


def check(offsets: list[int], after: int, newest: int, *, whole: bool) -> None:
    assert offsets == list(range(after + 1, after + 1 + len(offsets)))
    assert not whole or len(offsets) == newest - after
