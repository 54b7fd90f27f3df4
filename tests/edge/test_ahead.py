"""A viewer that comes from a gateway which was a moment ahead of this one on the same log."""

import pytest
from support.talk import LateLog, Talk


class AheadLog(LateLog):
    """Another gateway has handed on more of this log already."""

    def reach(self, offset, take):
        self.owed.append(lambda: take(offset <= self.newest))


@pytest.fixture
def talk():
    talk = Talk(late=1000)
    talk.log.__class__ = AheadLog
    return talk


def test_a_resume_ahead_of_this_gateway_goes_on_where_the_other_one_was(talk):
    talk.publish("t", count=10)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 15})
    talk.turn()
    assert talk.offsets == []
    talk.publish("t", count=10)
    talk.answer()
    talk.settle()
    talk.publish("t", count=2)
    talk.settle()
    assert talk.offsets == [16, 17, 18, 19, 20, 21, 22]
    assert talk.of("gap") == []
    assert [r["complete"] for r in talk.of("replayed")] == [True]


def test_an_offset_that_nobody_gave_is_a_gap_and_the_last_values(talk):
    talk.publish("t", count=10)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 15})
    talk.publish("t", count=3)
    talk.answer()
    talk.settle()
    talk.publish("t")
    talk.settle()
    [gap] = talk.of("gap")
    assert (gap["reason"], gap["to"]) == ("restart", 13)
    assert talk.offsets == [13, 14]
    assert [r["complete"] for r in talk.of("replayed")] == [False]


def test_beside_a_live_subscription_nothing_comes_twice(talk):
    talk.say(type="subscribe", id=1, topics=["t"], replay="none")
    talk.settle()
    talk.publish("t", count=10)
    talk.settle()
    talk.say(type="subscribe", id=2, topics=["#"], replay={"epoch": "e", "offset": 12})
    talk.publish("t", count=5)
    talk.publish("u", count=5)
    talk.answer()
    talk.settle()
    assert sorted(talk.offsets) == list(range(1, 21))


def test_a_client_that_goes_meanwhile_is_told_nothing(talk):
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 15})
    talk.session.end()
    talk.answer()
    talk.settle()
    assert talk.of("replayed") == []
