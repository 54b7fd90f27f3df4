"""The timer wheel: never early, in order, one timer whatever waits."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.wheel import GRAIN, Wheel


class Clock:
    """Time and timers by hand."""

    def __init__(self):
        self.now, self.timers = 0.0, []

    def __call__(self):
        return self.now

    def later(self, delay, function):
        self.timers.append((self.now + delay, function))

    def pass_to(self, when):
        while self.timers and min(t for t, _ in self.timers) <= when:
            timer = min(self.timers, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = when


class Item:
    def __init__(self):
        self.slot, self.at, self.again = None, [], None

    def due(self, now):
        self.at.append(now)
        if self.again is not None:
            self.again()


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10), st.booleans()), max_size=30))
def test_everything_comes_within_a_grain_of_its_time_and_never_early(items):
    clock = Clock()
    wheel = Wheel(clock, clock.later)
    waiting = []
    for added, delay, removed in sorted(items):
        clock.pass_to(max(clock.now, added))
        item = Item()
        when = clock.now + delay
        wheel.add(item, when)
        if removed:
            wheel.remove(item)
        waiting.append((item, when, removed))
    clock.pass_to(100.0)
    for item, when, removed in waiting:
        assert len(item.at) == (0 if removed else 1)
        assert all(when <= at <= when + 2 * GRAIN for at in item.at)
    assert len(wheel) == 0


def test_one_timer_is_under_way_however_much_waits():
    clock = Clock()
    wheel = Wheel(clock, clock.later)
    for number in range(1000):
        wheel.add(Item(), 5.0 + number)
    assert len(clock.timers) == 1
    wheel.add(Item(), 1.0)
    for second in range(1, 20):
        clock.pass_to(float(second))
        assert len(clock.timers) <= 2


def test_what_removes_another_in_the_same_grain_keeps_it_from_coming():
    clock = Clock()
    wheel = Wheel(clock, clock.later)
    first, second = Item(), Item()
    first.again = lambda: wheel.remove(second)
    wheel.add(first, 1.0)
    wheel.add(second, 1.0)
    clock.pass_to(2.0)
    assert (len(first.at), len(second.at)) == (1, 0)
