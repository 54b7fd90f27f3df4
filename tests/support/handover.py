"""What every log owes a client that resumes: the hand-over from replay to live, whatever comes in between."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from support.talk import Talk

from gateway.topics import matches

TOPICS = ("a/x", "a/y", "b/x")
FILTERS = ("a/x", "a/+", "b/x", "#")

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(TOPICS), st.sampled_from((1, 3, 300))),
        st.tuples(st.just("subscribe"), st.sampled_from(FILTERS), st.sampled_from(("none", "resume", "last"))),
        st.tuples(st.just("unsubscribe"), st.sampled_from(FILTERS)),
        st.just(("turn",)),
        st.just(("block",)),
        st.just(("unblock",)),
        st.just(("answer",)),
    ),
    max_size=40,
)

TURNS = st.lists(st.sampled_from(("publish", "turn", "block", "unblock", "answer")), max_size=60)


def loses_nothing_and_repeats_nothing(talk: Talk, operations: Sequence[Any]) -> None:
    """Subscribes, resumes and unsubscribes among publishing: each message once, however often it was asked for."""
    table: dict[str, int] = {}
    expected: Counter[int] = Counter()
    # What a resume asks for that an earlier replay, still under way, may carry as well: it comes once then.
    shared: Counter[int] = Counter()
    # A last value is told unless a newer one of its topic comes while it is being looked for.
    snapshots: Counter[int] = Counter()
    uncertain: set[int] = set()
    number = 0
    for operation, *arguments in operations:
        if operation == "publish":
            topic, count = arguments
            newest = talk.publish(topic, count=count)
            if any(matches(filter, topic) for filter in table):
                expected.update(range(newest - count + 1, newest + 1))
        elif operation == "subscribe":
            filter, wish = arguments
            number += 1
            newest = talk.log.newest
            resumed = newest // 2
            wish = {"epoch": talk.log.epoch, "offset": resumed} if wish == "resume" else wish
            if isinstance(wish, dict):
                again = expected if not talk.replaying else shared
                again.update(m.offset for m in talk.published if m.offset > resumed and matches(filter, m.topic))
            elif wish == "last":
                snapshots.update(m.offset for m in talk.hub.values.last(lambda topic, f=filter: matches(f, topic)))
            talk.say(type="subscribe", id=number, topics=[filter], replay=wish)
            table[filter] = number
        elif operation == "unsubscribe":
            [filter] = arguments
            if table.pop(filter, None) is not None:
                # What it had not got yet of these is neither promised nor forbidden.
                uncertain.update(m.offset for m in talk.published if matches(filter, m.topic))
            talk.say(type="unsubscribe", id=0, topics=[filter])
        elif operation == "turn":
            talk.turn()
        elif operation == "block":
            talk.line.blocked = True
        elif operation == "unblock":
            talk.unblock()
        else:
            talk.answer()
    talk.settle()

    got = Counter(talk.offsets)
    assert {o: n for o, n in got.items() if n > expected[o] + shared[o] + snapshots[o]} == {}
    newest = {m.offset for m in talk.hub.values.last(lambda topic: True)}
    least = (expected | Counter(shared.keys())) + Counter({o: n for o, n in snapshots.items() if o in newest})
    assert {o: n for o, n in least.items() if n > got[o] and o not in uncertain} == {}
    live = [m["offset"] for m in talk.of("message") if "replay" not in m]
    assert len(live) == len(set(live))


def stays_in_order(talk: Talk, operations: Sequence[str]) -> None:
    """One subscription that resumes under publishing sees its offsets in order, without a hole."""
    talk.publish("t", count=1000)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 100})
    for operation in operations:
        if operation == "publish":
            talk.publish("t", count=50)
        elif operation == "block":
            talk.line.blocked = True
        else:
            {"turn": talk.turn, "unblock": talk.unblock, "answer": talk.answer}[operation]()
    talk.settle()
    assert talk.offsets == list(range(101, talk.log.newest + 1))
    [replayed] = talk.of("replayed")
    at = talk.told.index(replayed)
    assert replayed["count"] == sum(m["type"] == "message" for m in talk.told[:at])
    assert all("replay" not in m for m in talk.told[at:])
