"""An answer that takes its steps in turn."""

import pytest

from gateway.edge.answer import Answer
from gateway.edge.http import Reply
from gateway.edge.states import State
from gateway.edge.visits import Pending


class Asker:
    def __init__(self):
        self.state, self.got, self.failure = State.REQUESTED, None, None

    def reply(self, reply, *, head=False):
        self.got = reply, head

    def abort(self, reason):
        self.state, self.failure = State.GONE, reason


def steps():
    yield None
    yield Reply(200, b"there", headers=(("A", "1"),))


def test_it_comes_after_its_steps_with_the_headers_of_all():
    asker = Asker()
    answer = Answer(Pending(steps(), (("B", "2"),)), asker, head=True)
    assert asker.state is State.ANSWERING, "what the client sends meanwhile is no second request"
    assert answer.step()
    assert asker.got is None
    assert not answer.step()
    assert asker.got == (Reply(200, b"there", headers=(("A", "1"), ("B", "2"))), True)


def test_nothing_more_is_done_for_one_who_has_gone():
    asker, taken = Asker(), []
    answer = Answer(Pending(iter(lambda: taken.append(1), 0)), asker, head=False)
    assert answer.step()
    asker.state = State.GONE
    assert not answer.step()
    assert len(taken) == 1


def test_one_that_fails_leaves_nobody_waiting():
    def fails():
        yield None
        raise KeyError("topic")

    asker = Asker()
    answer = Answer(Pending(fails()), asker, head=False)
    assert answer.step()
    with pytest.raises(KeyError):
        answer.step()
    assert asker.failure is not None
