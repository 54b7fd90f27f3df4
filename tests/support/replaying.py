"""What replays owe a client whatever log they read: a subclass says how a conversation over it begins."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.edge.dialects.native import NativeJson
from gateway.hub.log import BLOCK


class Copying(NativeJson):
    copies = True


class ReplayConformance:
    """`make_talk(**options)` begins a conversation, as Talk does."""

    make_talk: Callable[..., Any]

    def test_overlapping_subscriptions_that_are_resumed_together_tell_each_message_once(self) -> None:
        talk = self.make_talk()
        for topic in ("a/x", "b", "a/y", "a/x"):
            talk.publish(topic)
        talk.say(type="subscribe", id=1, topics=["a/+"], replay={"epoch": talk.log.epoch, "offset": 1})
        talk.say(type="subscribe", id=2, topics=["#"], replay={"epoch": talk.log.epoch, "offset": 0}, mode="latest")
        talk.settle()
        assert sorted(talk.offsets) == [1, 2, 3, 4]
        assert [(each["id"], each["count"]) for each in talk.of("replayed")] == [(1, 2), (2, 2)]

    @pytest.mark.parametrize("points", [None, 10])
    def test_who_was_away_while_messages_passed_by_upstream_is_told_before_the_rest(self, points: int | None) -> None:
        talk = self.make_talk()
        talk.publish("t", count=2)
        talk.settle()
        talk.room.breaks.note(2)
        talk.publish("t")
        talk.settle()
        thinned = {} if points is None else {"points": points}
        for number, offset in enumerate((1, 2, 3)):
            talk.told.clear()
            replay = {"epoch": talk.log.epoch, "offset": offset, **thinned}
            talk.say(type="subscribe", id=number, topics=["t"], replay=replay)
            talk.settle()
            assert sorted(talk.offsets) == list(range(offset + 1, 4))
            told = [each["type"] for each in talk.told]
            if offset == 3:
                assert "gap" not in told
                continue
            [gap] = talk.of("gap")
            assert gap == {"type": "gap", "from": 3, "to": 2, "count": None, "topics": {}, "reason": "upstream"}
            assert told.index("ok") < told.index("gap") < told.index("message")

    def test_a_replay_waits_for_the_socket_page_by_page(self) -> None:
        talk = self.make_talk()
        talk.publish("t", b'"' + b"x" * 1000 + b'"', count=5000)
        talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 0})
        talk.line.blocked = True
        for _ in range(100):
            talk.turn()
        assert talk.line.largest < 256 * 1024
        assert len(talk.offsets) < BLOCK
        talk.settle()
        assert len(talk.offsets) == 5000

    def test_frames_are_encoded_once_for_clients_that_come_back_together(self) -> None:
        talk = self.make_talk()
        talk.publish("t", count=1000)
        for number in range(3):
            talk.say(type="subscribe", id=number, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 0})
            talk.settle()
            talk.say(type="unsubscribe", id=0, topics=["t"])
        assert len(talk.offsets) == 3000
        assert talk.desk.frames.encoded == 1000

    def test_live_messages_never_go_back_though_what_was_live_has_ended_under_way(self) -> None:
        talk = self.make_talk()
        talk.say(type="subscribe", id=1, topics=["a"], replay="none")
        talk.say(type="subscribe", id=2, topics=["a", "#"])
        talk.publish("b")
        talk.publish("a")
        talk.say(type="subscribe", id=3, topics=["a"], replay="none")
        talk.settle()
        live = [each["offset"] for each in talk.of("message") if "replay" not in each]
        assert sorted(talk.offsets) == [1, 2]
        assert live == sorted(live)

    def test_a_replay_that_is_called_off_ends_incomplete(self) -> None:
        talk = self.make_talk()
        talk.publish("t", count=2000)
        talk.line.blocked = True
        talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 0})
        talk.say(type="subscribe", id=2, topics=["t", "u"], replay={"count": 5})
        talk.say(type="unsubscribe", id=3, topics=["t"])
        talk.settle()
        assert [(each["id"], each["complete"]) for each in talk.of("replayed")] == [(1, False), (2, True)]
        assert talk.offsets == []

    @pytest.mark.parametrize(("epoch", "offset"), [("", 10), ("", -1), ("other", 0), ("other", 3), ("other", 10)])
    def test_a_resume_from_elsewhere_is_a_gap_and_the_last_values(self, epoch: str, offset: int) -> None:
        talk = self.make_talk()
        talk.publish("t", count=5)
        talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": epoch or talk.log.epoch, "offset": offset})
        talk.settle()
        assert [each["type"] for each in talk.told[1:]] == ["ok", "gap", "message", "replayed"]
        [gap] = talk.of("gap")
        # An offset of another run says nothing about those of this one.
        assert (gap["reason"], gap["from"], gap["to"]) == ("restart", 1, 5)
        assert talk.of("replayed")[0]["complete"] is False

    def test_a_thinned_resume_tells_the_last_values_first_and_accounts_for_the_rest(self) -> None:
        talk = self.make_talk(late=50)
        for number in range(600):
            talk.now += 1
            talk.publish(f"t/{number % 2}", str(number).encode())
        talk.publish("other")
        talk.say(type="subscribe", id=1, topics=["t/+"], replay={"epoch": talk.log.epoch, "offset": 100, "points": 10})
        talk.settle()
        messages = talk.of("message")
        assert [m["offset"] for m in messages[:2]] == [599, 600]
        thinned = [m["offset"] for m in messages[2:]]
        assert thinned == sorted(thinned)
        assert min(thinned) > 100
        for topic in ("t/0", "t/1"):
            mine = [m["offset"] for m in messages if m["topic"] == topic]
            assert 10 <= len(mine) <= 11
            # Evenly spread over the time that was missed.
            assert max(b - a for a, b in zip(sorted(mine), sorted(mine)[1:], strict=False)) <= 102
        [gap] = talk.of("gap")
        assert gap["reason"] == "interval"
        assert gap["count"] + len(messages) == 500
        assert sum(gap["topics"].values()) == gap["count"]
        talk.publish("t/0")
        talk.settle()
        assert talk.offsets[-1] == 602

    def test_the_resume_mark_stays_below_what_a_replay_still_owes(self) -> None:
        talk = self.make_talk()
        talk.publish("a", count=1000)
        talk.say(type="subscribe", id=1, topics=["a"], replay={"epoch": talk.log.epoch, "offset": 100})
        assert talk.session.mark == 100
        talk.turn()
        talk.line.blocked = True
        talk.settle()
        assert talk.session.mark == 1000
        talk.line.blocked = True
        talk.say(type="subscribe", id=2, topics=["#"], replay="last")
        assert talk.session.mark < 1000

    def test_count_is_found_by_a_log_that_answers_late(self) -> None:
        talk = self.make_talk(late=10)
        for _ in range(100):
            talk.publish("t")
            talk.publish("u")
        talk.say(type="subscribe", id=1, topics=["t"], replay={"count": 30})
        talk.settle()
        assert talk.offsets == list(range(141, 200, 2))

    @pytest.mark.parametrize(("dialect", "times"), [(NativeJson(), 1), (Copying(), 2)])
    def test_what_comes_during_two_replays_comes_by_each_where_subscriptions_have_copies(
        self, dialect: NativeJson, times: int
    ) -> None:
        talk = self.make_talk(dialect=dialect)
        talk.publish("t", count=1000)
        talk.line.blocked = True
        talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 0})
        talk.say(type="subscribe", id=2, topics=["+"], replay={"epoch": talk.log.epoch, "offset": 1000})
        talk.turn()
        talk.publish("t", count=10)
        talk.settle()
        counted = Counter(talk.offsets)
        assert {counted[offset] for offset in range(1, 1001)} == {1}
        assert {counted[offset] for offset in range(1001, 1011)} == {times}
